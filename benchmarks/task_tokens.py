"""The images of a task and a model's visual tokens of them, as arrays for the redundancy suite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vtbench.adapter import Adapter
from vtbench.types import Task

BATCH = 64


@dataclass(frozen=True, slots=True)
class TaskTokens:
    """The first n images of a task and the tokens that a model makes of them."""

    tokens: np.ndarray
    """(n, N, d), as they enter the language model."""
    images: np.ndarray
    """(n, H, W, 3)."""
    boxes: np.ndarray | None
    """(N, 4), see `VisualTokens.boxes`."""
    clusters: list[str]
    """n names; images of one name share a scene."""


def task_tokens(adapter: Adapter, task: Task, count: int) -> TaskTokens:
    """Return the visual tokens of the first `count` images of a task."""
    tokens, images, clusters, boxes = [], [], [], None
    for start in range(0, count, BATCH):
        samples = [task.sample(i, adapter.image_size) for i in range(start, min(start + BATCH, count))]
        (visual,) = adapter.visual_tokens(samples, ["connector"])
        tokens.append(np.asarray(visual.tokens))
        images.append(np.stack([np.asarray(sample.images[0]) for sample in samples]))
        boxes = visual.boxes
        clusters += [sample.cluster for sample in samples]
    return TaskTokens(np.concatenate(tokens), np.concatenate(images), boxes, clusters)
