"""A made-up run over images of several sizes: tokens that are a code of what their boxes show, or copies of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import numpy as np
from image_fakes import DIM, OTHERS, image, record
from PIL import Image

from vtbench.errors import SampleError
from vtbench.metric import Batch, VisualMetric
from vtbench.types import Output, Sample, Score, VisualTokens
from vtbench_redundancy.features.common_grid import Grid

CELLS = Grid(4, 4)
"""The images' cells of one colour each (`image_fakes`)."""
CODE = np.random.default_rng(0).standard_normal((3, DIM))
NOISE = 0.01
MOST_OTHERS = 200
"""Images that a basis is fitted on, at most: the tokens here are narrow and need none."""

Tokens = Callable[[int, np.ndarray], np.ndarray]
"""Tokens (N, d) of an image, by its index and the tokens' boxes (N, 4)."""


def colours(index: int) -> np.ndarray:
    """The colours (16, 3) of an image's cells."""
    return np.asarray(image(index, 4), dtype=np.float64).reshape(CELLS.cells, 3) / 255


def patches(index: int, boxes: np.ndarray) -> np.ndarray:
    """Each token is a code of the mean colour within its box, with a little noise of its own."""
    left, top, right, bottom = boxes.T[:, :, None]
    x, y = CELLS.boxes()[:, :2].T * 4
    across = (np.minimum(right * 4, x + 1) - np.maximum(left * 4, x)).clip(0)
    area = across * (np.minimum(bottom * 4, y + 1) - np.maximum(top * 4, y)).clip(0)
    shown = (area / area.sum(axis=1, keepdims=True)) @ colours(index)
    noise = np.random.default_rng(index + 1).standard_normal((len(boxes), DIM))
    return shown @ CODE + NOISE * noise


def copies(index: int, boxes: np.ndarray) -> np.ndarray:
    """Every token is the same code of the first cell's colour."""
    return np.tile(colours(index)[0] @ CODE, (len(boxes), 1))


def mixed_sample(index: int, size: tuple[int, int]) -> Sample:
    shown = image(index, 4).resize(size, Image.Resampling.NEAREST)
    return Sample(f"t/test/0/{index}", index, (shown,), "What?", "yes")


def mixed_batches(
    layouts: Sequence[np.ndarray], order: Iterable[int], size: int, made: Tokens = patches, placed: bool = True
) -> list[Batch]:
    """Batches as the engine shows them: of one token count each. Image i has the boxes of layout i modulo their number.

    Args:
        layouts: boxes (N, 4).
        order: indices of the images.
        size: of a batch, before it is divided.
        made: makes the tokens.
        placed: whether the boxes are given.
    """
    found, order = [], list(order)
    for start in range(0, len(order), size):
        by_count: dict[int, list[int]] = {}
        for index in order[start : start + size]:
            by_count.setdefault(len(layouts[index % len(layouts)]), []).append(index)
        for part in by_count.values():
            boxes = [layouts[index % len(layouts)] for index in part]
            tokens = np.stack([made(index, b) for index, b in zip(part, boxes, strict=True)])
            samples = [mixed_sample(i, (16 + 4 * (i % len(layouts)), 16)) for i in part]
            visual = VisualTokens("connector", tokens.astype(np.float32), boxes if placed else None)
            found.append(Batch(samples, [Output()] * len(part), {"connector": visual}))
    return found


def with_basis(
    layouts: Sequence[np.ndarray],
    order: Sequence[int],
    size: int,
    made: Tokens = patches,
    placed: bool = True,
    most: int = MOST_OTHERS,
) -> tuple[list[Batch], list[Batch]]:
    """Batches of other images, `most` at most, to fit a basis on, and the batches to score; see `mixed_batches`."""
    others = [OTHERS * len(layouts) + i for i in order[:most]]  # each with the boxes of its counterpart
    return (
        mixed_batches(layouts, others, size, made, placed),
        mixed_batches(layouts, order, size, made, placed),
    )


def fit(metric: VisualMetric, first: Sequence[Batch]) -> dict[str, np.ndarray]:
    """Fit as the engine does, twice if the metric asks for it, and return the state, which is loaded.

    Batches that the metric refuses are left out.
    """
    for again in (True, False):
        for batch in first:
            with suppress(SampleError):
                metric.partial_fit(Batch(batch.samples, (), batch.visual))
        if not (again and metric.fit_again()):
            break
    state = dict(metric.state())
    metric.load_state(state)
    return state


def run(metric: VisualMetric, first: Sequence[Batch], parts: Sequence[Batch]) -> tuple[dict[str, Score], list[int]]:
    """Fit and observe; samples that the metric refuses are left out.

    Returns:
        The scores, and the indices of the samples that were observed.
    """
    fit(metric, first)
    seen = {}
    for batch in parts:
        with suppress(SampleError):
            observations = metric.observe(batch)
            seen |= {sample.index: o for sample, o in zip(batch.samples, observations, strict=True)}
    indices = sorted(seen)
    return metric.compute([record(i) for i in indices], [seen[i] for i in indices]), indices
