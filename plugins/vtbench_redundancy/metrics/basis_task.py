"""Where the images come from that a basis is fitted on: never from those that are scored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vtbench.errors import SampleError
from vtbench.scenes.scene_settings import COLOURS, SIZES
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample, Task
from vtbench_redundancy.features.scene_cues import scene_settings
from vtbench_redundancy.protocol import TARGETS, Protocol

BASIS_SEED = 20_602_914
"""Seed of the basis images: no run is likely to score or to train on the scenes of this one."""
IMAGES_PER_SCORED = 4
"""A small run (`--limit`) fits on at most this many images for each that it scores."""


class FirstPart:
    """The first n samples of a task."""

    def __init__(self, task: Task, n: int) -> None:
        self._task, self._n = task, n

    def __len__(self) -> int:
        return self._n

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._task, name)


def basis_task(task: Task, protocol: Protocol) -> Task:
    """Return the task whose samples the basis is fitted on.

    A task of scenes gets the `train` split of `probe`, with a seed of its own: the same images for every task and every
    model, of the same kind and size as what is scored, and in a split that is not. Where `probe` does not show what the
    task does (cut-outs, photographs behind them, colours or sizes of the task's own, a mix of several image sizes), it
    is the `train` split of the task itself, with that seed. Of a user's own images there are no others, so the first
    third gives the basis and is not scored; so it is with a mix that has such images. `rs-v1` is fitted on the first
    images, which it scores too.

    Args:
        task: the task to be scored.
        protocol: its settings.
    """
    if not protocol.held_out:
        return task
    repeats = getattr(task, "repeats", 1)  # of each question, one after the other: they show the same image
    questions, parts = len(task) // repeats, task_parts(task.config())
    if protocol.target in TARGETS and not any(part.get("data") for part in parts) and shows_scenes(task):
        count = max(1, min(protocol.basis_images, IMAGES_PER_SCORED * questions))
        sizes = {part.get("image_size") for part in parts}
        if len(sizes) == 1 and all(map(_like_probe, scene_settings(parts))):
            return _probe(sizes.pop(), count)
        if (own := _own_train_split(task, count)) is not None:  # type: ignore[arg-type]
            return own
    return _first(task, max(1, min(protocol.basis_images, questions // 3)) * repeats)  # type: ignore[arg-type]


def basis_name(basis: Task, task: Task) -> str:
    """Return what a score's details say of the images of its basis: their task and split, or that they are its first.

    Args:
        basis: what `basis_task` returned.
        task: the task that is scored.
    """
    return "first samples" if basis is task or isinstance(basis, FirstPart) else f"{basis.name}, split {basis.split}"


def _like_probe(scene: Mapping[str, Any]) -> bool:
    """Whether objects and backgrounds are those of the built-in scenes, which `probe` shows."""
    if scene.get("cast") or scene.get("backgrounds"):
        return False
    colours, sizes = scene.get("colours") or {}, scene.get("sizes") or {}
    return all(tuple(value) == COLOURS.get(name) for name, value in colours.items()) and sizes.items() <= SIZES.items()


def task_parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the settings of a task's parts, of which a task that is no mix has one."""
    parts = config.get("parts")
    return [each for part in parts for each in task_parts(part)] if parts else [config]


@lru_cache(maxsize=8)
def _first(task: Any, n: int) -> Task:
    part: Any = FirstPart(task, n)
    found: Task = part
    return found


@lru_cache(maxsize=8)
def _own_train_split(task: Any, count: int) -> Task | None:
    """Return other scenes of the same settings; None where a task of a plugin has no way to draw them."""
    drawn_again = getattr(task, "drawn_again", None)
    found: Task | None = drawn_again("train", BASIS_SEED, count) if drawn_again else None
    return found


@lru_cache(maxsize=8)
def _probe(image_size: int | None, count: int) -> Task:
    return load_task(find_task_files()["probe"], split="train", seed=BASIS_SEED, items=count, image_size=image_size)


def shows_scenes(task: Task) -> bool:
    """Whether a task draws its images from scenes, by its first sample."""
    try:
        return task.sample(0, 16).scene is not None
    except SampleError:
        return False


def sample_numbers(samples: Sequence[Sample]) -> np.ndarray:
    """Return a number for the name of each sample, int64, to tell later whether the basis was fitted on it."""
    digests = b"".join(hashlib.blake2b(sample.id.encode(), digest_size=8).digest() for sample in samples)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
