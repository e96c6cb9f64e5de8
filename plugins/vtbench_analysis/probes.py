"""Scores of the metric `cues` as results.json holds them in, `Cue`s of a diagnosis out.

A score `cue_<name>` is the accuracy of a probe on the tokens at the connector's output. Its details hold the `readings`
of every stage, probe and control, and the `reference` that retention compares with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench_analysis.evidence import Cue, Measured
from vtbench_analysis.rules import LOST

CUE = "cue_"
_BEFORE = ("pixels", "untrained", "encoder")
"""Stages before the connector: the picture, the same through a random layer, the vision tower."""


def cue_of(name: str, score: Mapping[str, Any]) -> Cue | None:
    """Return a cue; None where its probe has no value.

    Where the place or shape that the probe is told gives the cue away (a probe of grey pictures is above chance), what
    it gives away counts as chance.
    """
    detail = score["detail"]
    if score["value"] is None or not score["interval"]:
        return None
    readings = [r for r in detail["readings"] if r["probe"] == detail["probe"] and r["accuracy"] is not None]
    grey = [r["accuracy"] for r in readings if r["control"] == "grey" and "told_gives_away" in score["flags"]]
    chance, reference = max([score["chance"], *grey]), detail["reference"]
    if chance >= reference:
        return None

    def kept(value: float, low: float, high: float) -> Measured:
        return Measured(*((x - chance) / (reference - chance) for x in (value, low, high)))

    stages = {
        r["stage"]: kept(r["accuracy"], r["low"], r["high"])
        for r in readings
        if not r["control"] and r["low"] is not None
    }
    here = kept(score["value"], *score["interval"])
    return Cue(
        name.removeprefix(CUE),
        Measured(score["value"], *score["interval"]),
        chance,
        here,
        max((stages[s] for s in _BEFORE if s in stages), key=lambda kept: kept.value, default=None),
        _lost_at(stages, ("encoder", detail["stage"])),
    )


def _lost_at(stages: Mapping[str, Measured], order: Sequence[str]) -> str:
    """The first stage that surely holds less than half."""
    return next((stage for stage in order if stage in stages and stages[stage].high < LOST), "")
