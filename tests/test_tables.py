"""Tables on the terminal: they fit 80 columns where their numbers do, and no number is ever cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.table import Table

from vtbench.console.listing import column_lines
from vtbench.console.run_listing import run_lines
from vtbench.console.tables import print_table, score_table, table_console

Captured = pytest.CaptureFixture[str]
NUMBERS = ["100.0 %*", "-100.0 to -51.5", "0.010", "12,345"]


def made(name: str) -> Table:
    table = score_table("model · task · plain", ["score", "run"], ["value", "95 %", "p Holm", "n"])
    table.add_row(name, "A", *NUMBERS)
    return table


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("name", ["acc", "group_accuracy.pair_acc_of_a_metric_with_settings"])
def test_no_number_is_cut_at_any_width(columns: int, name: str, capsys: Captured) -> None:
    console = table_console(stderr=False)
    assert console.width == 80
    console.width = columns
    print_table(console, made(name))
    out = capsys.readouterr().out
    assert all(number in out for number in ["p Holm", *NUMBERS])
    assert "…" not in out
    cells = [line.partition("  ")[0].strip() for line in out.splitlines()]
    assert name in "".join(cells), "a name is folded, and not cut"
    assert console.width == columns
    if columns >= 80:
        assert max(map(len, out.splitlines())) <= columns


def test_a_title_is_one_line_above_a_table_that_is_narrower(capsys: Captured) -> None:
    title = "redundancy of the visual tokens · a task of a long name"
    table = score_table(title, ["score"], ["value"])
    table.add_row("rs", "0.5")
    print_table(table_console(stderr=False), table)
    assert capsys.readouterr().out.splitlines()[0] == title


def test_the_last_column_of_a_listing_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    rows = [{"name": "a", "n": 5, "about": "word " * 30}, {"name": "longer", "n": 1234, "about": None}]
    first, *rest, last = column_lines(rows)
    assert first.startswith("a          5  word word")
    assert last == "longer  1234"
    assert len(rest) > 1
    assert all(line.startswith(" " * 14 + "word") and len(line) < 60 for line in rest)
    assert list(column_lines([])) == []


def runs() -> Iterator[dict[str, object]]:
    for number in range(3):
        yield {
            "run": f"results/{'long-' * 20}{number}",
            "begun": "2026-11-29 09:32",
            "model": "llava",
            "checkpoint": "/a/long/directory" * 5,
            "asked": "instruct · 4-shot",
            "limit": None if number else 24,
            "samples": 24_000,
            "state": "done",
            "scores": ", ".join(f"task_{task} acc 12.5 %" for task in range(9)),
        }


def test_runs_are_listed_in_80_columns_but_for_their_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = list(runs())
    lines = list(run_lines(rows))
    assert lines[0].split() == ["begun", "state", "samples", "limit", "model", "asked", "checkpoint"]
    assert [line for line in lines if len(line) > 79] == [f"    {row['run']}" for row in rows]
    assert "".join(lines).count("task_8 acc 12.5 %") == 3
    assert list(run_lines([])) == []
