"""What checks ask about: items of the built-in tasks, and made-up answers and visual tokens for metrics and budgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from PIL import Image

from vtbench.metric import Batch, BudgetMetric, Metric
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Output, Record, Sample, VisualTokens

ADAPTER_TASKS = ("relational", "attribute", "scene_graph")
"""Items with 2, 4 and 8 choices, and open ones."""
METRIC_TASKS = ("relational", "scene_graph", "precise_offset")
"""Items of every kind that a metric of vtbench scores."""
SIDE, PATCH = 8, 4
"""A made-up batch has 8 x 8 visual tokens, each of them 4 x 4 RGB pixels."""
OTHER_SIDE = 6
"""The side of another grid of visual tokens, as images of another size have it."""


def example_samples(tasks: Sequence[str], count: int, image_size: int | None) -> tuple[Sample, ...]:
    """Return the first `count` items of each task."""
    made = [load_task(find_task_files()[name]) for name in tasks]
    return tuple(task.sample(i, image_size or 64) for task in made for i in range(count))


def fresh(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return copies of samples, so that what changes them in one check does not disturb the next."""
    return tuple(
        replace(sample, images=tuple(image.copy() for image in sample.images), meta=dict(sample.meta))
        for sample in samples
    )


def facts(sample: Sample) -> dict[str, Any]:
    """Return everything of a sample that can be compared; an image as its size, mode and pixels."""
    found = {field.name: getattr(sample, field.name) for field in fields(sample)}
    images = [(image.size, image.mode, image.tobytes()) for image in sample.images]
    return {**found, "images": images, "meta": dict(sample.meta)}


def array_of(visual: VisualTokens) -> np.ndarray:
    """Return visual tokens as an array, from a tensor on any device, or from one for each sample."""
    tokens = visual.tokens
    if isinstance(tokens, list | tuple):
        return np.stack([array_of(replace(visual, tokens=each)) for each in tokens])
    return np.asarray(tokens.detach().float().cpu() if hasattr(tokens, "detach") else tokens)


def patch_tokens(samples: Sequence[Sample], layer: str = "connector", side: int = SIDE) -> VisualTokens:
    """Return the pixels of image patches as visual tokens (n, side * side, 48), with their boxes."""
    width = side * PATCH
    grids = []
    for sample in samples:
        small = sample.images[0].convert("RGB").resize((width, width), Image.Resampling.BOX)
        grid = np.asarray(small, dtype=np.float32).reshape(side, PATCH, side, PATCH, 3) / 255
        grids.append(grid.transpose(0, 2, 1, 3, 4).reshape(side * side, -1))
    top, left = np.mgrid[:side, :side].reshape(2, -1) / side
    return VisualTokens(layer, np.stack(grids), np.stack([left, top, left + 1 / side, top + 1 / side], axis=1))


def example_output(sample: Sample, right: bool) -> Output:
    """Return a made-up answer: the target, or the question itself, which no metric can read an answer from."""
    even = 1 / max(len(sample.choices), 1)
    said = [even / 2 + (0.5 if choice == sample.target else 0) if right else even for choice in sample.choices]
    return Output(
        text=sample.target if right else sample.prompt,
        logprobs=tuple(map(math.log, said)) if said else None,
        logprob_tokens=(1,) * len(said) if said else None,
        tokens_in=SIDE * SIDE + 2,
        visual_tokens_in=SIDE * SIDE,
    )


def example_batch(samples: Sequence[Sample], layers: Sequence[str] = ("connector",), side: int = SIDE) -> Batch:
    """Return a batch as metrics see it: every third sample has no answer that can be read, the others the right one."""
    outputs = [example_output(sample, right=bool(sample.index % 3)) for sample in samples]
    visual = patch_tokens(samples, side=side)
    return Batch(samples, outputs, {layer: replace(visual, layer=layer) for layer in layers})


def with_budgets(metric: Metric, batch: Batch) -> Batch:
    """Return the batch with what was said under a metric's budgets: other answers, of other lengths, for each."""
    if not isinstance(metric, BudgetMetric):
        return batch
    return replace(batch, budgeted={name: _budgeted(batch.samples, name) for name in metric.budgets})


def _budgeted(samples: Sequence[Sample], name: str) -> list[Output]:
    seed = sum(name.encode())
    return [
        replace(example_output(sample, sample.index * seed % 5 > 1), tokens_in=2 + seed % 7, visual_tokens_in=seed % 7)
        for sample in samples
    ]


def example_records(samples: Sequence[Sample]) -> list[Record]:
    """Return the records of samples that were answered, as a metric's `compute` gets them."""
    names = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "scene_hash", "meta")
    return [Record(task="mixed", **{name: getattr(sample, name) for name in names}) for sample in samples]
