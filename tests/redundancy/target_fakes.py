"""Tokens that know the facts of made-up scenes, whatever the pixels are, for the tests of targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from image_fakes import OTHERS, batches, record

from vtbench.metric import Batch
from vtbench.scenes.scene import CANVAS, Background, Scene, SceneObject
from vtbench.types import Sample, Score, Task, VisualTokens
from vtbench_redundancy.features.scene_cues import CueColumns
from vtbench_redundancy.metrics.token_metrics import RedundancyMetric
from vtbench_redundancy.protocol import custom_protocol

COLOURS, IMAGES, BASIS, DIM = ("red", "green", "blue"), 300, 100, 24
COLUMNS = CueColumns.of([])
CODE = np.random.default_rng(0).standard_normal((12, DIM)).astype(np.float32)


def thing(number: int, colour: str, x: float, y: float) -> SceneObject:
    at = round(x * CANVAS), round(y * CANVAS)
    return SceneObject(number, "circle", colour, "solid", "small", (0, 0, 0), 9, *at, rotation=0, z=number)


def scene(index: int) -> Scene:
    """A red, a green and a blue circle, of which some are missing."""
    draw = np.random.default_rng([index, 1])  # images are drawn from the index alone
    there = [colour for colour in COLOURS if draw.random() < 0.7]
    return Scene(Background("black", (0, 0, 0)), tuple(thing(i, c, *draw.random(2)) for i, c in enumerate(there)))


def seen(indices: range, scenes: bool = True, size: int = 50) -> Iterator[Batch]:
    """Images whose tokens tell one colour's count and place each, whatever their pixels are."""
    rows = [i for i, (kind, word) in enumerate(COLUMNS.values) if kind == "colour" and word in COLOURS]
    for batch in batches(indices, size):
        tokens = []
        for sample in batch.samples:
            facts = COLUMNS.of_scene(scene(sample.index)).reshape(-1, 3)[rows] - [0.7, 0.5, 0.5]
            noise = 0.05 * np.random.default_rng(sample.index + 1).standard_normal((4, DIM))
            tokens.append(np.stack([f @ CODE[3 * i : 3 * i + 3] for i, f in enumerate([*facts, facts[0]])]) + noise)
        visual = {"connector": VisualTokens("connector", np.stack(tokens).astype(np.float32))}
        samples = [replace(s, scene=scene(s.index) if scenes else None) for s in batch.samples]
        yield Batch(samples, batch.outputs, visual)


def run(metric: RedundancyMetric, n: int = IMAGES, basis: bool = True, scored: bool = True) -> dict[str, Score]:
    first = type(metric)(metric.protocol)
    for batch in seen(range(OTHERS, OTHERS + BASIS), basis):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    found = [o for batch in seen(range(n), scored) for o in metric.observe(batch)]
    return metric.compute([record(i) for i in range(n)], found)


def small(target: str = "pixels") -> RedundancyMetric:
    return RedundancyMetric(custom_protocol({"target": target, "r": 4, "permutations": 2}))


class Made:
    """A task of so many samples."""

    name, split = "t", "test"

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def config(self) -> dict:
        return {"data": "x"}

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        return next(batches(range(index, index + 1), 1)).samples[0]


def made(n: int) -> Task:
    task: Task = Made(n)  # type: ignore[assignment]
    return task
