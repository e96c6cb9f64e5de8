"""What interventions are compared by: answers, redundancy, cues and drop curves of LLaVA checkpoints, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vtbench
from vtbench.runs.reader import runs

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
DROPPED = "relational"
"""Its questions are asked with parts of the tokens."""
REDUNDANCY = {"rs": 4, "n_eff_16": 2, "discarded": 4, "cue_information": 2}
"""Scores of redundancy by name, and their digits; those that this version has are shown."""
Scores = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much each checkpoint is measured on."""

    items: int = 500
    """Items of every family."""
    images: int = 2000
    """Images of the probe set for redundancy."""
    probed: int = 600
    """Of these for cues."""
    dropped: int = 200
    """Items for the drop curve."""


def measured(checkpoint: Path, output: Path, amounts: Amounts, cues: bool = True) -> dict[str, Scores]:
    """Return the scores of a checkpoint by task, made at the first call; later calls read the runs in `output`."""
    stages: dict[str, dict[str, Any]] = {
        "answers": {"tasks": [*FAMILIES], "metrics": ["accuracy", "scene_graph"], "limit": amounts.items},
        "probe": {"tasks": ["probe"], "metrics": ["redundancy"], "limit": amounts.images},
        "drop": {"tasks": [DROPPED], "metrics": ["accuracy", "drop_curve"], "limit": amounts.dropped},
    }
    if cues:
        stages["cues"] = {"tasks": ["probe"], "metrics": ["cues"], "limit": amounts.probed}
    found = {}
    for stage, fields in stages.items():
        place = output / stage
        run = vtbench.run(
            model="llava", model_args={"pretrained": str(checkpoint)}, output=str(place), resume=bool(runs(place)),
            report=False, **fields,
        )  # fmt: skip
        for task, scores in run.document["scores"].items():
            found[task if stage == "answers" else stage] = scores
    return found


def table(arms: Mapping[str, Mapping[str, Scores]]) -> str:
    """Return everything side by side as Markdown, a column an arm."""
    lines = ["| | " + " | ".join(arms) + " |", "|---|" + "---|" * len(arms)]

    def row(text: str, stage: str, score: str, digits: int, factor: float = 1) -> None:
        cells = [cell(of[stage].get(score), digits, factor) for of in arms.values()]
        if any(cells):
            lines.append(f"| {text} | " + " | ".join(cells) + " |")

    for family in FAMILIES:
        graph = family == "scene_graph"
        row(f"{family}, {'tuple F1' if graph else 'accuracy'}, %", family, "tuple_f1" if graph else "acc", 1, 100)
    for score, digits in REDUNDANCY.items():
        row(f"probe, {score}", "probe", score, digits)
    nats = [of["probe"]["rs"]["detail"].get("information_joint") for of in arms.values()]
    lines.append("| probe, I(Z;X̃), nats | " + " | ".join("" if n is None else f"{n:.1f}" for n in nats) + " |")
    for score in ("drop_area", "drop_f95"):
        row(f"{DROPPED}, {score}", "drop", score, 3)
    first = next(iter(arms.values()))
    for score in first.get("cues", ()):
        row(f"probe, {score}, %", "cues", score, 1, 100)
    return "\n".join(lines)


def cell(score: Mapping[str, Any] | None, digits: int, factor: float = 1) -> str:
    """Return a score with its interval and flags; nothing where there is none."""
    if score is None:
        return ""
    if score["value"] is None:
        return f"– {' '.join(score['flags'])}".strip()
    text = f"{factor * score['value']:.{digits}f}"
    if score["interval"]:
        text += " (" + " to ".join(f"{factor * end:.{digits}f}" for end in score["interval"]) + ")"
    return " ".join([text, *score["flags"]])
