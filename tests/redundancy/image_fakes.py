"""A made-up run for the metrics of the suite: images of coloured cells, and tokens that are a code of the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from vtbench.metric import Batch, VisualMetric
from vtbench.types import Observation, Output, Record, Sample, Score, VisualTokens
from vtbench_redundancy.features.patch_layout import grid_boxes

SIDE, COUNT, DIM = 16, 16, 12
OTHERS = 100_000
"""Number of the first sample that a basis is fitted on."""


def image(index: int, side: int = SIDE) -> Image.Image:
    cells = np.random.default_rng(index).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.NEAREST)


def sample(index: int, side: int = SIDE) -> Sample:
    return Sample(f"t/test/0/{index}", index, (image(index, side),), "What?", "yes")


def tokens(index: int, repeats: int = 2) -> np.ndarray:
    """Token i is a linear code of cell i, with a little noise; the first of `repeats` parts of the cells."""
    cells = np.asarray(image(index, 4), dtype=np.float32).reshape(COUNT, 3) / 255
    cells = np.tile(cells[: COUNT // repeats], (repeats, 1))
    code = np.random.default_rng(0).standard_normal((3, DIM))
    noise = np.random.default_rng(index + 1).standard_normal((COUNT, DIM))
    return (cells @ code + 0.01 * noise).astype(np.float32)


def batches(indices: range, size: int, side: int = SIDE, layers: Sequence[str] = ("connector",)) -> Iterator[Batch]:
    """`connector` tells half of the cells twice, `encoder` all of them once, other layers a quarter four times."""
    repeats = {"encoder": 1, "connector": 2}
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        visual = {
            layer: VisualTokens(layer, np.stack([tokens(i, repeats.get(layer, 4)) for i in part]), grid_boxes(COUNT))
            for layer in layers
        }
        yield Batch([sample(i, side) for i in part], [Output()] * len(part), visual)


def record(index: int, cluster: str = "", sha: str = "") -> Record:
    return Record("t", f"t/test/0/{index}", index, "What?", "yes", cluster=cluster, image_sha256=(sha,) if sha else ())


def ready(make: Callable[[], VisualMetric], n: int, size: int, **given: Sequence[str]) -> VisualMetric:
    """The metric, with the basis of n other samples."""
    first, metric = make(), make()
    for batch in batches(range(OTHERS, OTHERS + n), size, **given):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    return metric


def observed(metric: VisualMetric, n: int, size: int, **given: Sequence[str]) -> list[Observation]:
    return [o for batch in batches(range(n), size, **given) for o in metric.observe(batch)]


def scores(make: Callable[[], VisualMetric], n: int, size: int = 32, fit_size: int = 32, **given) -> dict[str, Score]:
    """What a run over n samples says."""
    metric = ready(make, min(n, 200), fit_size, **given)
    return metric.compute([record(i) for i in range(n)], observed(metric, n, size, **given))
