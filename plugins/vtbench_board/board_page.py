"""The leaderboards as one self-contained HTML page in the report's style, with everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import vtbench
from vtbench.console.formatting import interval_text, number
from vtbench.report.page import environment, script
from vtbench.report.score_table import bar
from vtbench.report.terms import Terms
from vtbench.scoring.token_counts import UNEQUAL_M

MARK = '<meta name="generator" content="vtbench board">'
"""Tells a page of ours from another's `index.html`."""
_SCRIPT = Path(__file__).parent / "script/board.js"


def board_page(document: Mapping[str, Any], terms: Terms) -> str:
    """Return the HTML of the page.

    Args:
        document: what `leaderboards` returned.
        terms: what its scores and flags mean.
    """
    groups = [group for groups in document["tasks"].values() for group in groups]
    rows = [row for group in groups for row in group["rows"]]
    template = environment("vtbench_board").get_template("board.html.jinja")
    return template.render(
        board=document,
        groups=len(groups),
        formats=sorted({row["format"] for row in rows}),
        models=sorted({row["model"] for row in rows}),
        scores=list(dict.fromkeys(column["name"] for group in groups for column in group["columns"])),
        dates=(min(row["begun"] for row in rows)[:10], max(row["begun"] for row in rows)[:10]),
        bar=bar,
        note_of=_column_note,
        difference_of=_difference_text,
        terms=terms,
        unequal_m_of=_has_unequal_m,
        about_m=UNEQUAL_M,
        words_of=lambda row: " ".join(_words(row)).lower(),
        mark=MARK,
        own_scripts=[script(_SCRIPT)],
        version=vtbench.__version__,
    )


def _difference_text(cell: Mapping[str, Any]) -> str:
    """Return the difference of a tied run to the leader, with its interval, p-value and test."""
    difference, percent = cell["difference"], cell["percent"]
    ends = difference["interval"]
    interval = f" (95 % {interval_text(ends, percent)})" if ends else ""
    p = f"p Holm {difference['p_holm']:.2g}, {difference['test']}"
    return f"{number(difference['value'], percent)} to the leader{interval}, {p}"


def _column_note(column: Mapping[str, Any]) -> str:
    """Return the small print of a column: unit, protocol, chance, and whether less is better."""
    parts = ["%"] if column["percent"] else []
    parts += [column["protocol"]] if column["protocol"] else []
    if column["chance"] is not None:
        parts.append(f"chance {number(column['chance'], column['percent'])}")
    return ", ".join([*parts, "less is better"] if column["better"] == "lower" else parts)


def _has_unequal_m(group: Mapping[str, Any]) -> bool:
    """Whether columns of one score stand side by side that differ in m."""
    by_m = {(column["score"], column["m"]) for column in group["columns"] if column["m"] is not None}
    return len(by_m) > len({score for score, _ in by_m})


def _words(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the model filter looks through, each cut as the page shows it."""
    yield from (row["model"][:200], row["checkpoint"][:200], row["run"][:200])
    yield from (f"{key}={value}"[:200] for key, value in row["settings"].items())
