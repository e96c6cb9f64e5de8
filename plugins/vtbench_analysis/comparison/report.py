"""A comparison as rich tables on standard output, and as one HTML page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any

import vtbench
from vtbench.console.formatting import interval_text, number, p_text, signed
from vtbench.console.tables import carriers_of, print_line, score_table, show_flags, table_console
from vtbench.report import environment
from vtbench.stats import Estimate
from vtbench_analysis.comparison.run_comparison import RunComparison, TaskComparison
from vtbench_analysis.comparison.score_rows import NO_TEST, ScoreRow


def print_comparison(comparison: RunComparison, meanings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print which run has which letter, and for each task a table, the tests, and what the flags mean.

    Args:
        comparison: of two runs or more.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    console = table_console(stderr=False, width=80)
    for letter, run in zip(ascii_uppercase, comparison.runs, strict=False):
        print_line(console, f"{letter}  {run.path}")
    for task, compared in comparison.tables.items():
        table = score_table(f"{task} · {comparison.asked(task)}")
        for column in ("score", "run", "value", "95 %", "to A", "95 %", "p Holm"):
            table.add_column(column, justify="left" if column in ("score", "run") else "right", no_wrap=True)
        for row, adjusted in zip(compared.rows, compared.adjusted_p, strict=True):
            table.add_row(row.score, "A", *_value_cells(row, row.values[0], row.values[0].flags), "", "", "")
            others = zip(ascii_uppercase[1:], row.values[1:], row.differences, adjusted, strict=False)
            for letter, other, difference, p_holm in others:
                differs = [signed(difference.value, row.percent), interval_text(difference.interval, row.percent)]
                value = _value_cells(row, other, [*_flags(other), *_flags(difference)])
                table.add_row("", letter, *value, *differs, p_text(p_holm))
        console.print(table)
        print_line(console, shared_samples_text(compared))
        tests = carriers_of((r.score, [d.test or "no paired test"]) for r in compared.rows for d in r.differences)
        for test, scores in tests.items():
            print_line(console, f"{test}: {', '.join(scores)}")
        console.print()
        flags = ((r.score, _flags(each)) for r in compared.rows for each in (*r.values, *r.differences))
        show_flags(console, carriers_of(flags), meanings)
        for name, reason in compared.not_compared.items():
            print_line(console, f"not compared {name}: {reason}")
    print_line(console, "to A: difference to the first run; p Holm: its p-value, adjusted over the table")


def _flags(estimate: Estimate) -> list[str]:
    """Return the flags of a value or difference. That it has no test stands among the tests."""
    return [flag for flag in estimate.flags if flag not in NO_TEST.flags]


def _value_cells(row: ScoreRow, value: Estimate, flags: Collection[str]) -> list[str]:
    """Return a run's value, which ends in `*` where a flag stands, and its interval."""
    unit = " %" * (row.percent and value.value is not None)
    text = number(value.value, row.percent) + unit + ("*" if flags else " ")
    return [text, interval_text(value.interval, row.percent)]


def comparison_page(comparison: RunComparison) -> str:
    """Return the comparison as one self-contained HTML page in the report's style, everything escaped."""
    letters = ascii_uppercase[: len(comparison.runs)]
    template = environment("vtbench_analysis.comparison").get_template("comparison.html.jinja")
    return template.render(
        runs=dict(zip(letters, comparison.runs, strict=True)),
        tables=comparison.tables,
        remarks=comparison.remarks,
        asked=comparison.asked,
        shared_samples=shared_samples_text,
        rows=_page_rows,
        interval=interval_text,
        signed=signed,
        p=p_text,
        version=vtbench.__version__,
    )


def remarks(difference: Estimate, flags: tuple[str, ...]) -> str:
    """Name the test, and the flags of the difference and of the value."""
    return " ".join(dict.fromkeys((*([difference.test] if difference.test else ()), *difference.flags, *flags)))


def shared_samples_text(table: TaskComparison) -> str:
    """Say how many samples are shared, of how many in each run."""
    shared = table.shared
    parts = [f"{len(shared):,} shared samples of {', '.join(f'{n:,}' for n in shared.n_samples)}"]
    if any(shared.n_failed):
        parts.append(f"failed: {', '.join(f'{n:,}' for n in shared.n_failed)}")
    if shared.n_other_images:
        parts.append(f"with other images, left out: {shared.n_other_images:,}")
    if shared.n_other_questions:
        parts.append(f"with other questions or right answers, left out: {shared.n_other_questions:,}")
    return "; ".join(parts)


def _page_rows(table: TaskComparison) -> list[dict[str, Any]]:
    """Return one row a score and run. Those of other runs hold their difference and its bar on the score's scale."""
    return [
        cells for row, adjusted in zip(table.rows, table.adjusted_p, strict=True) for cells in _cells(row, adjusted)
    ]


def _cells(row: ScoreRow, adjusted_p: tuple[float | None, ...]) -> list[dict[str, Any]]:
    scale = _bar_scale(row)
    found = [{"letter": "A", "value": row.values[0], "row": row, "remarks": " ".join(row.values[0].flags)}]
    others = zip(ascii_uppercase[1:], row.values[1:], row.differences, adjusted_p, strict=False)
    for letter, value, difference, p_holm in others:
        cells = {"letter": letter, "value": value, "row": row, "remarks": remarks(difference, value.flags)}
        bar = None
        if difference.value is not None and difference.interval is not None:
            ends = (difference.interval[0], difference.value, difference.interval[1])
            low, middle, high = (50 + 50 * x / scale for x in ends)
            bar = {"low": low, "value": middle, "high": high}
        found.append(cells | {"difference": difference, "p_holm": p_holm, "bar": bar})
    return found


def _bar_scale(row: ScoreRow) -> float:
    """The difference at the end of a score's bars: a little beyond the farthest end of an interval."""
    ends = [abs(end) for difference in row.differences for end in difference.interval or ()]
    return 1.05 * max(ends, default=1.0) or 1.0
