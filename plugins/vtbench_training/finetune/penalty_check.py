"""Check of a model trained with a redundancy penalty: has it lost information or accuracy? Writes guard.json.

A penalty can lower any redundancy score by adding noise or by discarding information. So the base and the trained model
are measured on the same probe images and on the same `val` items of the trained tasks; a task over rows has no such
split, so that both answer the rows it tests on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import vtbench
from vtbench.registry import Registry
from vtbench.runs.disk import write_file
from vtbench.scoring.credit import main_score
from vtbench.task.catalog import summary
from vtbench.task.locations import task_locations
from vtbench_training.finetune.settings import FineTune

CHECK_IMAGES = 1100
"""Probe images: enough for all tokens of the embedded model (`images_needed` of the score's details)."""
INFORMATION_KEPT = 0.95
"""Share of the base's I(Z;X̃) that must be kept."""
ACCURACY_LOST = 0.02
"""Accuracy, as a fraction, by which a family may fall below the base."""


def check_penalty(
    config: FineTune,
    model: Path,
    directory: Path,
    device: str,
    images: int = CHECK_IMAGES,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Check a fine-tuning under a penalty; see `check_checkpoints`.

    Args:
        config: of the training.
        model: the finished checkpoint.
        directory: for guard.json and, in `guard/`, the runs behind it.
        device: on which to measure.
        images: most probe images, and most items of each family.
        registry: plugins to use; the installed ones by default.
    """
    families = [name for name, weight in config.mix.items() if weight > 0]
    from vtbench_training.finetune.base_model import base_arguments  # imports torch, which the rules below need not

    base, penalty = base_arguments(config.base, config.model, registry), config.penalty or ()
    return check_checkpoints(base, model, config.model, families, penalty, directory, device, images, registry)


def check_checkpoints(
    base: Mapping[str, str],
    trained: Path,
    model: str,
    families: Sequence[str],
    penalty: Sequence[str | float],
    directory: Path,
    device: str,
    images: int = CHECK_IMAGES,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Measure a model and the one to compare it with, write guard.json to `directory`, and return its content.

    A penalty is accepted where I(Z;X̃) is at least 95 % of the base's (nats, on probe images) and no family's accuracy
    (tuple F1 for scene graphs, on `val`) is more than 0.02 below the base's.

    Args:
        base: the model arguments of the base; none for what the adapter loads by default.
        trained: the checkpoint that was trained under the penalty.
        model: the adapter of both.
        families: on whose `val` items both answer.
        penalty: its name and weight.
        directory: for guard.json and, in `guard/`, the runs behind it.
        device: on which to measure.
        images: most probe images, and most items of each family.
        registry: plugins to use; the installed ones by default.

    Returns:
        `base` and `trained`, each with `information`, `rs`, `rs_interval`, `accuracy` by family; `accepted`, `reasons`.
    """
    sources = {"base": dict(base), "trained": {"pretrained": str(trained)}}
    settings: dict[str, Any] = {
        "model": model, "device": device, "limit": images, "output": str(directory / "guard"), "report": False,
        "registry": registry,
    }  # fmt: skip
    measured = {name: _measure(settings | {"model_args": source}, families) for name, source in sources.items()}
    reasons = rejection_reasons(measured["base"], measured["trained"])
    found = {"penalty": list(penalty), **measured, "accepted": not reasons, "reasons": reasons}
    write_file(directory / "guard.json", json.dumps(found, indent=2) + "\n")
    return found


def rejection_reasons(base: dict[str, Any], trained: dict[str, Any]) -> list[str]:
    """Return why a penalty is not accepted; an empty list accepts it.

    >>> base = {"information": 100.0, "accuracy": {"coarse": 0.9}}
    >>> rejection_reasons(base, {"information": 96.0, "accuracy": {"coarse": 0.89}})
    []
    >>> rejection_reasons(base, {"information": 80.0, "accuracy": {"coarse": 0.95}})
    ['information fell from 100.0 to 80.0 nats']
    """
    reasons = []
    before, after = base["information"], trained["information"]
    if before is None or after is None:
        reasons.append("information could not be measured; ask for more images")
    elif after < INFORMATION_KEPT * before:
        reasons.append(f"information fell from {before:.1f} to {after:.1f} nats")
    for family, accuracy in base["accuracy"].items():
        now = trained["accuracy"][family]
        if now < accuracy - ACCURACY_LOST:
            reasons.append(f"accuracy on {family} fell from {100 * accuracy:.1f} to {100 * now:.1f} %")
    return reasons


def _measure(settings: Mapping[str, Any], families: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of one model; `settings` are those of `vtbench.run`."""
    rs = vtbench.run(**settings, tasks=["probe"], metrics=["redundancy"]).scores["probe"]["rs"]
    answers: dict[str, Any] = {}
    for split, tasks in _by_split(families, settings["registry"]):
        measured = vtbench.run(**settings, tasks=tasks, metrics=["accuracy", "scene_graph"], split=split)
        answers |= measured.scores
    accuracy = {family: {name: score.value for name, score in scores.items()} for family, scores in answers.items()}
    return {
        "information": rs.detail.get("information_joint"),
        "rs": rs.value,
        "rs_interval": rs.interval,
        "flags": list(rs.flags),
        "accuracy": {family: values[main_score(values)] for family, values in accuracy.items()},
    }


def _by_split(tasks: Sequence[str], registry: Registry | None) -> Iterator[tuple[str | None, list[str]]]:
    """Yield `val` with the locations of tasks of scenes, and None with those of tasks over rows."""
    locations = task_locations(tasks, registry or Registry())
    over_rows = [where for where in locations if summary(Path(where))["family"] == "data"]
    scenes = [where for where in locations if where not in over_rows]
    yield from ((split, some) for split, some in (("val", scenes), (None, over_rows)) if some)
