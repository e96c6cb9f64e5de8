"""Scores as a table on standard output, or as the JSON document of `vtbench score --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vtbench.console.formatting import interval_text, number
from vtbench.console.tables import carriers_of, print_table, score_table, show_flags, table_console
from vtbench.types import Score
from vtbench_redundancy.flags import FLAGS

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
            number(score.value, score.percent) + " %" * (score.percent and score.value is not None),
            interval_text(score.interval, score.percent),
            f"{score.n:,}",
            " ".join(score.flags),
        )
        for name, score in scores.items()
    ]


def print_scores(scores: Mapping[str, Score], title: str) -> None:
    """Print a table on standard output, and below it what its flags mean."""
    console, table = table_console(stderr=False), score_table(title, ["score"], ["value", "95 %", "images"])
    for name, value, interval, images, flags in table_rows(scores):
        table.add_row(name, value + ("*" if flags else " "), interval, images)
    print_table(console, table)
    show_flags(console, carriers_of((name, score.flags) for name, score in scores.items()), FLAGS)
