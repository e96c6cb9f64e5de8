"""After a redundancy penalty: has the model lost information or accuracy? A trained checkpoint in, guard.json out.

A penalty lowers any score of redundancy by adding noise or by forgetting. So the base and the trained model are
measured on the same probe pictures and on the same `val` items of the families that were trained.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import vtbench
from vtbench.runs.writer import write_file
from vtbench.types import Score
from vtbench_training.bases import checkpoint_of
from vtbench_training.settings import FineTune

GUARD_IMAGES = 1100
"""Probe pictures: enough for all tokens of the embedded model (`images_needed` of the score's details)."""
INFORMATION_KEPT = 0.95
"""Share of the base's I(Z;X̃) that must be left."""
ACCURACY_LOST = 0.02
"""Accuracy, as a fraction, by which a family may fall below the base."""


def guard(config: FineTune, model: Path, directory: Path, device: str, images: int = GUARD_IMAGES) -> dict[str, Any]:
    """Measure base and trained model, write guard.json to `directory`, and return what it holds.

    A penalty is accepted where I(Z;X̃) is at least 95 % of the base's (nats, on probe pictures) and no trained family's
    accuracy (tuple F1 for scene graphs, on `val`) is more than 0.02 below the base's.

    Args:
        config: what was trained.
        model: the finished checkpoint.
        directory: where the runs behind it go, as `guard/`.
        device: where to measure.
        images: probe pictures, and items of each family, at most.

    Returns:
        `base` and `trained`, each with `information`, `rs`, `rs_interval`, `accuracy` by family; `accepted`, `reasons`.
    """
    families = [name for name, weight in config.mix.items() if weight > 0]
    measured = {
        name: _measure(config.model, source, families, directory / "guard", device, images)
        for name, source in (("base", checkpoint_of(config.base, config.model)), ("trained", str(model)))
    }
    reasons = verdict(measured["base"], measured["trained"])
    found = {"penalty": list(config.penalty or ()), **measured, "accepted": not reasons, "reasons": reasons}
    write_file(directory / "guard.json", json.dumps(found, indent=2) + "\n")
    return found


def verdict(base: dict[str, Any], trained: dict[str, Any]) -> list[str]:
    """Say why a penalty is not accepted; an empty list accepts it.

    >>> base = {"information": 100.0, "accuracy": {"coarse": 0.9}}
    >>> verdict(base, {"information": 96.0, "accuracy": {"coarse": 0.89}})
    []
    >>> verdict(base, {"information": 80.0, "accuracy": {"coarse": 0.95}})
    ['information fell from 100.0 to 80.0 nats']
    """
    reasons = []
    had, has = base["information"], trained["information"]
    if had is None or has is None:
        reasons.append("information could not be measured; ask for more pictures")
    elif has < INFORMATION_KEPT * had:
        reasons.append(f"information fell from {had:.1f} to {has:.1f} nats")
    for family, before in base["accuracy"].items():
        after = trained["accuracy"][family]
        if after < before - ACCURACY_LOST:
            reasons.append(f"accuracy on {family} fell from {100 * before:.1f} to {100 * after:.1f} %")
    return reasons


def _measure(model: str, source: str, families: list[str], output: Path, device: str, images: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "model": model, "model_args": {"pretrained": source}, "device": device, "limit": images,
        "output": str(output), "report": False,
    }  # fmt: skip
    rs = vtbench.run(**settings, tasks=["probe"], metrics=["redundancy"]).scores["probe"]["rs"]
    answers = vtbench.run(**settings, tasks=families, metrics=["accuracy", "scene_graph"], split="val").scores
    return {
        "information": rs.detail.get("information_joint"),
        "rs": rs.value,
        "rs_interval": rs.interval,
        "flags": list(rs.flags),
        "accuracy": {family: _main(scores).value for family, scores in answers.items()},
    }


def _main(scores: dict[str, Score]) -> Score:
    """Return a family's main score: tuple F1 where answers are scene graphs, else accuracy."""
    graph = scores.get("tuple_f1")
    return graph if graph is not None and graph.value is not None else scores["acc"]
