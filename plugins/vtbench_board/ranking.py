"""The ranking by one score: who leads, and which entries are not told apart from the leader.

The difference to the leader is paired where both runs answered about the same images and the score is a ratio of sums
(`vtbench.stats.ratio_difference`: McNemar's or score test, by scene); else unpaired, from both intervals
(`vtbench.stats.independent_difference`). As the data pick the leader, p-values are adjusted over all pairs of runs
(`vtbench.stats.holm_from_leader`): of rankings of equal runs, at most 5 % tell any run apart, that is have p < 0.05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.scoring import SCORING_VERSION
from vtbench.scoring.token_counts import measured_m
from vtbench.stats import Estimate, holm_from_leader, independent_difference, ratio_difference
from vtbench_analysis.comparison.gate import SMALLER_IS_BETTER
from vtbench_board.finished_runs import Entry

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Column:
    """A score as a leaderboard ranks it: scores of another protocol have a column of their own."""

    score: str
    protocol: str = ""
    """What the score was measured by, if it says so, and the number of tokens where the value depends on it."""

    @property
    def name(self) -> str:
        """Its name, unique in a group."""
        return f"{self.score} ({self.protocol})" if self.protocol else self.score


@dataclass(frozen=True, slots=True)
class Standing:
    """One entry's place by one score."""

    score: Mapping[str, Any]
    """As results.json has it."""
    rank: int | None = None
    """1 for the best; equal values share one. None without a value, or where neither more nor less is better."""
    leads: bool = False
    """Whether it is the entry that the others are tested against: the best, or else the highest."""
    tied: bool = False
    """Whether the difference to the leader is not significant."""
    difference: Estimate | None = None
    """To the leader; None for the leader, and without a value."""
    p_holm: float | None = None

    @property
    def tested(self) -> bool:
        """Whether there is a test against the leader."""
        return self.p_holm is not None


@dataclass(frozen=True)
class Ranking:
    """The entries of a group by one score. `standings` is by position of the entry in its group."""

    column: Column
    better: str
    """`higher`, `lower`, or empty where neither is."""
    standings: Mapping[int, Standing]

    def order(self, count: int) -> list[int]:
        """Return the positions of all `count` entries, the best first; those without a value come last."""

        def key(position: int) -> tuple[bool, float]:
            standing = self.standings.get(position)
            value = standing.score["value"] if standing else None
            return (value is None, 0.0 if value is None else value if self.better == "lower" else -value)

        return sorted(range(count), key=key)


def rankings(entries: Sequence[Entry]) -> list[Ranking]:
    """Rank the entries of one group by each of their scores, in the order in which runs have them."""
    columns: dict[Column, dict[int, Mapping[str, Any]]] = {}
    for position, entry in enumerate(entries):
        for name, score in entry.scores.items():
            if score["n"] or score["value"] is not None:
                columns.setdefault(Column(name, _protocol(name, score)), {})[position] = score
    names = list(dict.fromkeys(column.score for column in columns))
    ordered = sorted(columns, key=lambda column: (names.index(column.score), column.protocol))
    return [_rank(column, columns[column], entries) for column in ordered]


def _protocol(name: str, score: Mapping[str, Any]) -> str:
    detail = score["detail"]
    parts = [str(detail["protocol"])] if detail.get("protocol") else []
    if (m := measured_m(name, score)) is not None:
        parts.append(f"m = {m}")
        parts += [f"r = {detail['r']}"] if "cue_information" in name and "r" in detail else []
    return ", ".join(parts)


def _rank(column: Column, scores: Mapping[int, Mapping[str, Any]], entries: Sequence[Entry]) -> Ranking:
    lower = column.score in SMALLER_IS_BETTER
    better = "lower" if lower else "higher" if all(score["percent"] for score in scores.values()) else ""
    values = {position: score["value"] for position, score in scores.items() if score["value"] is not None}
    if not values:
        return Ranking(column, better, {position: Standing(score) for position, score in scores.items()})
    best = min(values.values()) if lower else max(values.values())
    leader = next(position for position, value in values.items() if value == best)
    others = {
        position: _difference(column, (scores[position], scores[leader]), (entries[position], entries[leader]))
        for position in values
        if position != leader
    }
    adjusted = dict(zip(others, holm_from_leader([difference.p for difference in others.values()]), strict=True))
    sign, standings = -1 if lower else 1, {}
    for position, score in scores.items():
        value = values.get(position)
        p = adjusted.get(position)
        standings[position] = Standing(
            score,
            None if value is None or not better else 1 + sum(sign * other > sign * value for other in values.values()),
            position == leader and len(values) > 1,
            p is not None and p >= ALPHA,
            others.get(position),
            p,
        )
    return Ranking(column, better, standings)


def _difference(column: Column, scores: tuple[Mapping[str, Any], ...], pair: tuple[Entry, Entry]) -> Estimate:
    """Return how far the first of two entries exceeds the second."""
    paired = _paired_difference(column.score, scores[0]["metric"], pair)
    if paired is not None and paired.p is not None:
        return paired
    return independent_difference(*(_estimate(score) for score in scores))


def _paired_difference(name: str, metric: str, pair: tuple[Entry, Entry]) -> Estimate | None:
    """Return the difference over the samples that both observed; None where nothing can be paired."""
    answers = [entry.answers for entry in pair]
    if any(entry.scoring != SCORING_VERSION for entry in pair) or answers[0].images != answers[1].images:
        return None  # terms are today's; nor are images of another size the same samples
    if not all(metric in each.observed for each in answers):
        return None
    shared = answers[0].observed[metric] & answers[1].observed[metric]
    ours, theirs = (each.terms_on(metric, shared).get(name.removeprefix(f"{metric}.")) for each in answers)
    if ours is None or theirs is None or not len(ours.clusters) or ours.clusters != theirs.clusters:
        return None
    return ratio_difference(ours, theirs)


def _estimate(score: Mapping[str, Any]) -> Estimate:
    interval = tuple(score["interval"]) if score["interval"] else None
    return Estimate(score["value"], score.get("stderr"), interval, score["n"])
