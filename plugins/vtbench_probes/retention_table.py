"""The retention matrix of a run as flat rows, for tables, CSV and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STAGES = (
    "pixels",
    "untrained",
    "encoder",
    "connector",
    "decoder_25",
    "decoder_50",
    "decoder_75",
    "decoder_100",
    "answer",
)
"""Stages in the order in which the image passes through the model."""


def retention_matrix(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every reading of cues in a run's results, as one row each.

    Args:
        results: what results.json holds, or `RunResult.document`.

    Returns:
        one row a task, cue, stage, probe and control, with these and `accuracy`, `low`, `high`, `stderr`, `chance`,
        `retention`, `n`; cues in the order of their scores, stages in the order of `STAGES`. Empty where the run has
        no cue scores. `probe` is empty for the model's own answer, `control` where there is none.
    """
    rows = []
    for task, scores in results["scores"].items():
        for score in scores.values():
            if score["metric"] == "cues":
                readings = sorted(score["detail"]["readings"], key=lambda reading: STAGES.index(reading["stage"]))
                rows += [{"task": task, **reading} for reading in readings]
    return rows
