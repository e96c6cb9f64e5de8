"""Scores as a table on standard output, or as the JSON document of `vtbench score --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vtbench.console.formatting import number
from vtbench.console.tables import score_table, table_console
from vtbench.types import Score

HEADLINE = ("rs", "n_eff_16", "discarded", "cue_information", "r_pix", "delta_rs", "n_eff")


def json_document(scores: Mapping[str, Score], protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return one JSON-able document: `rs`, `rs_ci` and so on of every score, the headline's `flags`, all in `scores`.

    >>> json_document({"rs": Score(0.5, 0.1, (0.3, 0.7), 9, flags=("few_images",))}, {"name": "rs-v1"})["rs_ci"]
    [0.3, 0.7]
    """
    found: dict[str, Any] = {}
    for name, score in scores.items():
        found |= {name: score.value, f"{name}_ci": list(score.interval) if score.interval else None}
    flags = dict.fromkeys(flag for name in HEADLINE if name in scores for flag in scores[name].flags)
    found |= {"flags": list(flags), "protocol": dict(protocol)}
    return found | {"scores": {name: asdict(score) for name, score in scores.items()}}


def table_rows(scores: Mapping[str, Score]) -> list[tuple[str, str, str, str, str]]:
    """Return name, value, interval, number of images and flags of every score, as text."""
    return [
        (
            name,
            number(score.value, score.percent),
            " – ".join(number(end, score.percent) for end in score.interval or ()),
            str(score.n),
            " ".join(score.flags),
        )
        for name, score in scores.items()
    ]


def print_table(scores: Mapping[str, Score], title: str) -> None:
    """Print a table on standard output."""
    console, table = table_console(stderr=False), score_table(title)
    for column in ("score", "value", "95 %", "images", ""):
        table.add_column(column, justify="left" if column in ("score", "") else "right", no_wrap=column != "")
    for row in table_rows(scores):
        table.add_row(*row)
    console.print(table)
