"""A comparison as rich tables on standard output, and as one HTML page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any

import vtbench
from vtbench.console.formatting import interval_text, number, p_text, signed
from vtbench.console.tables import carriers_of, print_line, print_table, score_table, show_flags, table_console
from vtbench.report import environment
from vtbench.report.terms import Terms
from vtbench.scoring.token_counts import UNEQUAL_M, measured_m, unequal_m
from vtbench.stats import Estimate
from vtbench_analysis.comparison.run_comparison import RunComparison, TaskComparison
from vtbench_analysis.comparison.score_rows import NO_TEST, ScoreRow


def print_comparison(comparison: RunComparison, meanings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print which run has which letter, and for each task a table, the tests, and what the flags mean.

    Args:
        comparison: of two runs or more.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    console = table_console(stderr=False)
    for letter, run in zip(ascii_uppercase, comparison.runs, strict=False):
        print_line(console, f"{letter}  {run.path}")
    for task, compared in comparison.tables.items():
        title = f"{task} · {comparison.asked(task)}"
        table = score_table(title, ["score", "run"], ["value", "95 %", "to A", "95 %", "p Holm"])
        for row, adjusted in zip(compared.rows, compared.adjusted_p, strict=True):
            table.add_row(row.score, "A", *_value_cells(row, row.values[0], row.values[0].flags), "", "", "")
            others = zip(ascii_uppercase[1:], row.values[1:], row.differences, adjusted, strict=False)
            for letter, other, difference, p_holm in others:
                differs = [signed(difference.value, row.percent), interval_text(difference.interval, row.percent)]
                value = _value_cells(row, other, [*_flags(other), *_flags(difference)])
                table.add_row("", letter, *value, *differs, p_text(p_holm))
        print_table(console, table)
        print_line(console, shared_samples_text(compared))
        for text in _unequal_m_lines(comparison, task, compared):
            print_line(console, text)
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


def comparison_page(comparison: RunComparison, terms: Terms) -> str:
    """Return the comparison as one self-contained HTML page in the report's style, everything escaped."""
    letters = ascii_uppercase[: len(comparison.runs)]
    template = environment("vtbench_analysis.comparison").get_template("comparison.html.jinja")
    return template.render(
        runs=dict(zip(letters, comparison.runs, strict=True)),
        tables=comparison.tables,
        remarks=comparison.remarks,
        asked=comparison.asked,
        shared_samples=shared_samples_text,
        rows=lambda task, table: _page_rows(comparison, task, table),
        about_m=UNEQUAL_M,
        unequal_m=lambda task, table: any(_m_of_runs(comparison, task, row) for row in table.rows),
        interval=interval_text,
        signed=signed,
        p=p_text,
        terms=terms,
        version=vtbench.__version__,
    )


def _m_of_runs(comparison: RunComparison, task: str, row: ScoreRow) -> list[int | None]:
    """Return the m of a row's value in each run, where they are unequal; else nothing."""
    stored = [(row.score, run.scores(task).get(row.score)) for run in comparison.runs]
    return [measured_m(*each) for each in stored] if unequal_m(stored) else []


def _unequal_m_lines(comparison: RunComparison, task: str, table: TaskComparison) -> Iterator[str]:
    """Yield which scores stand side by side at unequal m, and what that means."""
    found = [(row.score, ms) for row in table.rows if (ms := _m_of_runs(comparison, task, row))]
    for score, ms in found:
        each = (f"{m} in {letter}" for letter, m in zip(ascii_uppercase, ms, strict=False) if m is not None)
        yield f"{score} is measured at m = {', '.join(each)}"
    if found:
        yield from f"{UNEQUAL_M}.".replace(": ", ":\n").splitlines()


def remarks(difference: Estimate, flags: tuple[str, ...]) -> str:
    """Name the test, and the flags of the difference and of the value."""
    return " ".join(dict.fromkeys((*([difference.test] if difference.test else ()), *difference.flags, *flags)))


def shared_samples_text(table: TaskComparison) -> str:
    """Say how many samples are shared, of how many in each run."""
    shared = table.shared
    parts = [f"{len(shared):,} shared samples of {', '.join(f'{n:,}' for n in shared.n_samples)}"]
    if any(shared.n_failed):
        parts.append(f"failed: {', '.join(f'{n:,}' for n in shared.n_failed)}")
    if shared.n_other_sizes:
        parts.append(f"the same scenes drawn at another size: {shared.n_other_sizes:,}")
    if shared.n_other_images:
        parts.append(f"with other images, left out: {shared.n_other_images:,}")
    if shared.n_other_questions:
        parts.append(f"with other questions or right answers, left out: {shared.n_other_questions:,}")
    return "; ".join(parts)


def _page_rows(comparison: RunComparison, task: str, table: TaskComparison) -> list[dict[str, Any]]:
    """Return one row a score and run. Those of other runs hold their difference and its bar on its kind's scale."""
    scales = bar_scales(table.rows)
    found = []
    for row, adjusted in zip(table.rows, table.adjusted_p, strict=True):
        ms = _m_of_runs(comparison, task, row) or [None] * len(row.values)
        cells = _cells(row, adjusted, scales[bar_kind(row, table.rows)])
        found += [each | {"m": m} for each, m in zip(cells, ms, strict=True)]
    return found


def _cells(row: ScoreRow, adjusted_p: tuple[float | None, ...], scale: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"letter": "A", "value": row.values[0], "row": row, "flags": row.values[0].flags}]
    others = zip(ascii_uppercase[1:], row.values[1:], row.differences, adjusted_p, strict=False)
    for letter, value, difference, p_holm in others:
        flags = dict.fromkeys((*difference.flags, *value.flags))
        cells = {"letter": letter, "value": value, "row": row, "flags": flags}
        bar = None
        if difference.value is not None and difference.interval is not None:
            ends = (difference.interval[0], difference.value, difference.interval[1])
            low, middle, high = (50 + 50 * x / scale for x in ends)
            bar = {"low": low, "value": middle, "high": high}
        found.append(cells | {"difference": difference, "p_holm": p_holm, "bar": bar})
    return found


def bar_kind(row: ScoreRow, rows: Sequence[ScoreRow]) -> str:
    """Return what a row shares its scale with: all percentages, or the scores whose names begin as its own.

    RS of a layer (`rs_encoder`) is on the scale of `rs`, and `drop_area_grid` on that of `drop_area`.
    """
    if row.percent:
        return "%"
    stems = {layerless(other.score) for other in rows if not other.percent}
    own = layerless(row.score)
    return min((stem for stem in stems if own == stem or own.startswith(f"{stem}_")), key=len)


def bar_scales(rows: Sequence[ScoreRow]) -> dict[str, float]:
    """Return, by kind, the difference at the end of its bars: a little beyond the farthest end of an interval."""
    ends: dict[str, list[float]] = {}
    for row in rows:
        far = (abs(end) for difference in row.differences for end in difference.interval or ())
        ends.setdefault(bar_kind(row, rows), []).extend(far)
    return {kind: 1.05 * max(found, default=1.0) or 1.0 for kind, found in ends.items()}


def layerless(score: str) -> str:
    """Return a score's name without the layer at its end.

    >>> layerless("rs_decoder_50"), layerless("rs_encoder"), layerless("drop_area_grid")
    ('rs', 'rs', 'drop_area_grid')
    """
    return re.sub(r"_(pixels|untrained|encoder|connector|decoder_\d+)$", "", score)
