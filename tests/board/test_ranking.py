"""Who leads, who is tied, and by which test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from stored_runs import stored_run

from vtbench.stats import difference, holm_from_leader
from vtbench.types import Score
from vtbench_board.finished_runs import find_runs
from vtbench_board.ranking import Ranking, rankings


def ranked(folder: Path) -> list[Ranking]:
    return rankings(find_runs(folder).entries)  # runs by name, so `a` has position 0


def answers(right: int, of: int = 100) -> list[bool]:
    return [True] * right + [False] * (of - right)


def floats(right: Sequence[bool]) -> list[float]:
    return [float(one) for one in right]


def test_a_tie_is_a_paired_difference_that_is_not_significant_after_adjustment(tmp_path: Path) -> None:
    each = [answers(90), answers(88), answers(84), answers(40)]
    for name, right in zip("abcd", each, strict=True):
        stored_run(tmp_path, name, right)
    (acc,) = ranked(tmp_path)
    found = [acc.standings[place] for place in range(4)]
    tests = [difference(floats(right), floats(each[0]), [""] * 100) for right in each[1:]]
    p_values = [test.p for test in tests]
    assert p_values[1] is not None
    assert p_values[1] < 0.05  # 84 against 90 is told apart alone, and still after the adjustment
    assert [s.p_holm for s in found] == [None, *holm_from_leader(p_values)]
    assert [s.tied for s in found] == [False, True, False, False]
    assert [s.rank for s in found] == [1, 2, 3, 4]
    assert [s.leads for s in found] == [True, False, False, False]
    assert found[1].difference is not None
    assert found[1].difference.test == "McNemar"
    assert found[1].difference.value == pytest.approx(-0.02)


def test_the_adjustment_makes_ties_of_what_many_comparisons_find_by_chance(tmp_path: Path) -> None:
    for name, right in zip("ab", (90, 84), strict=True):
        stored_run(tmp_path / "few", name, answers(right))
    for n, right in enumerate((90, *[84] * 6)):
        stored_run(tmp_path / "many", f"run{n}", answers(right))
    assert not ranked(tmp_path / "few")[0].standings[1].tied
    assert all(ranked(tmp_path / "many")[0].standings[place].tied for place in range(1, 7))


def test_images_of_another_size_are_not_paired(tmp_path: Path) -> None:
    stored_run(tmp_path, "a", answers(90), scenes=True)
    stored_run(tmp_path, "b", answers(84), scenes=True, image="other")
    (entry, other) = find_runs(tmp_path).entries
    assert entry.answers.images != other.answers.images
    assert entry.answers.questions == other.answers.questions
    standing = ranked(tmp_path)[0].standings[1]
    assert standing.difference is not None
    assert standing.difference.test == "unpaired"
    assert standing.tied  # 6 points are told apart in pairs only


def test_failed_samples_leave_the_pairs_that_both_answered(tmp_path: Path) -> None:
    stored_run(tmp_path, "a", [None, *answers(90, 99)])
    stored_run(tmp_path, "b", [*answers(60, 98), None, None])
    standing = ranked(tmp_path)[0].standings[1]
    assert standing.difference is not None
    assert standing.difference.n == 97
    ours, theirs = answers(60, 98)[1:98], answers(90, 99)[:97]
    assert standing.difference.value == pytest.approx((sum(ours) - sum(theirs)) / 97)
    assert standing.difference.test == "McNemar"


def rs(value: float, protocol: str = "rs-v2", m: int = 44, reach: float | None = 0.05) -> dict[str, Score]:
    ends = None if reach is None else (value - reach, value + reach)
    return {"rs": Score(value, None, ends, 10, None, (), {"protocol": protocol, "m": m}, False)}


def test_other_protocols_and_numbers_of_tokens_have_columns_of_their_own(tmp_path: Path) -> None:
    for name, scores in zip("abc", (rs(0.5), rs(0.6, m=29), rs(0.7, protocol="rs-v1")), strict=True):
        stored_run(tmp_path, name, answers(5, 10), scores=scores)
    _, *columns = ranked(tmp_path)
    assert [r.column.name for r in columns] == ["rs (rs-v1, m = 44)", "rs (rs-v2, m = 29)", "rs (rs-v2, m = 44)"]
    assert [list(r.standings) for r in columns] == [[2], [1], [0]]
    assert not any(standing.leads for r in columns for standing in r.standings.values())


def test_a_score_without_a_better_end_has_no_ranks_and_one_without_an_interval_no_test(tmp_path: Path) -> None:
    for name, scores in zip("abcd", (rs(0.5), rs(0.58), rs(0.9), rs(0.7, reach=None)), strict=True):
        stored_run(tmp_path, name, answers(5, 10), scores=scores)
    column = ranked(tmp_path)[1]
    assert column.better == ""
    assert {standing.rank for standing in column.standings.values()} == {None}
    assert column.order(4) == [2, 3, 1, 0]
    assert [column.standings[n].leads for n in range(4)] == [False, False, True, False]
    assert [column.standings[n].tested for n in range(4)] == [True, True, False, False]
    assert not any(column.standings[n].tied for n in range(4))


def test_equal_values_share_a_rank(tmp_path: Path) -> None:
    for name, right in zip("abc", (5, 5, 4), strict=True):
        stored_run(tmp_path, name, answers(right, 10))
    (acc,) = ranked(tmp_path)
    assert [acc.standings[n].rank for n in range(3)] == [1, 1, 3]
    assert [acc.standings[n].tied for n in range(3)] == [False, True, True]
