"""Comparisons and diagnoses as HTML: one file in the looks of the report, no network, everything escaped."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

import vtbench
from vtbench.report import environment
from vtbench_analysis.comparing import Comparison, Table
from vtbench_analysis.diagnosing import Diagnosis
from vtbench_analysis.lines import Line
from vtbench_analysis.showing import interval_text, p_text, remarks, sharing_text, signed
from vtbench_analysis.wording import span


def compare_page(comparison: Comparison) -> str:
    """Return the page of a comparison."""
    letters = ascii_uppercase[: len(comparison.runs)]
    facts = {"runs": dict(zip(letters, comparison.runs, strict=True)), "tables": comparison.tables}
    tools = {"sharing": sharing_text, "rows": _rows, "interval": interval_text, "signed": signed, "p": p_text}
    template = environment("vtbench_analysis").get_template("compare.html.jinja")
    return template.render(**facts, **tools, version=vtbench.__version__)


def diagnosis_page(diagnosis: Diagnosis) -> str:
    """Return the page of a diagnosis."""
    return _diagnosed("diagnosis.html.jinja", diagnosis)


def diagnosis_section(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as HTML for a page that extends `page.html.jinja`, the report's say."""
    return _diagnosed("findings.html.jinja", diagnosis)


def _diagnosed(template: str, diagnosis: Diagnosis) -> str:
    made = environment("vtbench_analysis").get_template(template)
    return made.render(diagnosis=diagnosis, span=span, version=vtbench.__version__)


def _rows(table: Table) -> list[dict[str, Any]]:
    """One row a score and run; those of other runs hold their difference, and where it stands on the table's scale."""
    return [row for line, adjusted in zip(table.lines, table.adjusted, strict=True) for row in _of(line, adjusted)]


def _of(line: Line, adjusted: tuple[float | None, ...]) -> list[dict[str, Any]]:
    scale = _scale(line)
    shown = [{"letter": "A", "value": line.values[0], "line": line, "remarks": " ".join(line.values[0].flags)}]
    others = zip(ascii_uppercase[1:], line.values[1:], line.differences, adjusted, strict=False)
    for letter, value, apart, p_holm in others:
        row = {"letter": letter, "value": value, "line": line, "remarks": remarks(apart, value.flags)}
        bar = None
        if apart.value is not None and apart.interval is not None:
            low, middle, high = (50 + 50 * x / scale for x in (apart.interval[0], apart.value, apart.interval[1]))
            bar = {"low": low, "value": middle, "high": high}
        shown.append(row | {"apart": apart, "p_holm": p_holm, "bar": bar})
    return shown


def _scale(line: Line) -> float:
    """What the end of a score's bars stands for: a little beyond the farthest end of an interval."""
    ends = [abs(end) for apart in line.differences for end in apart.interval or ()]
    return 1.05 * max(ends, default=1.0) or 1.0
