"""Features of the probes: a few principal components of each token at each stage.

    pixels       the image's patches
    untrained    the same patches through one random layer
    encoder, connector, decoder_25 ... decoder_100   the model's visual tokens, where the adapter gives them

Each stage is reduced to its leading principal components, fitted on a task's first samples. Up to 64 tokens are kept as
they are; more are averaged within the cells of an 8 x 8 grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Sample
from vtbench_redundancy.features.patch_layout import cut_patches, grid_boxes
from vtbench_redundancy.features.principal_components import PrincipalAxes, StreamingPCA

COMPONENTS = 24
"""Principal components kept of a token, at every stage."""
SKETCH = 256
"""Columns of the sketch from which the components of wider tokens come."""
CELLS = 64
PATCH_PIXELS = 8
"""A patch of the image is averaged to 8 x 8 pixels."""
UNITS = 256
"""Width of the untrained layer."""
LARGEST = 6e4
"""Clamp of the coordinates to the range of float16; only an outlier of as many root mean squares reaches it."""
SEED = 0
IMAGE_STAGES = ("pixels", "untrained")
"""Stages that come from the image alone, on the fixed 8 x 8 grid."""


def untrained(patches_bkp: Tensor) -> Tensor:
    """Return the output of a random layer on patches: 256 rectified units, (b, k, 256).

    Weights are Gaussian with variance 2 / inputs (He et al., ICCV 2015, eq. 10), from a fixed seed. It stands
    for an encoder of this grid before training: each token is a non-linear code of its own patch.
    """
    width = patches_bkp.shape[2]
    weights = torch.randn(UNITS, width, generator=torch.Generator().manual_seed(SEED)) * sqrt(2 / width)
    return torch.relu(patches_bkp @ weights.T.to(patches_bkp))


def pooling(count: int, boxes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the averaging of N tokens to at most 64, and the places of these.

    Tokens without boxes are taken for a grid in raster order.

    Returns:
        weights: (m, N), each row a mean; places: (m, 2), x and y of the middles as fractions of the image.
    """
    places_N4 = grid_boxes(count) if boxes is None else np.asarray(boxes, dtype=np.float64)
    middles_N2 = (places_N4[:, :2] + places_N4[:, 2:]) / 2
    if count <= CELLS:
        return np.eye(count), middles_N2
    side = round(CELLS**0.5)
    column, row = np.clip((middles_N2 * side).astype(int), 0, side - 1).T
    _, cell = np.unique(row * side + column, return_inverse=True)
    weights = (cell == np.arange(cell.max() + 1)[:, None]).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, weights @ middles_N2


@dataclass(frozen=True, slots=True)
class Stage:
    """Turns the tokens of one stage into coordinates."""

    axes: PrincipalAxes
    """(d, r)"""
    weights: np.ndarray
    """(m, N), as `pooling` gives them."""
    places: np.ndarray
    """(m, 2)"""

    def __call__(self, tokens_Nd: Tensor) -> np.ndarray:
        """Return one image's coordinates (m, r) in float16: they are in units of the stage's root mean square."""
        coordinates_Nr = self.axes(tokens_Nd[None])[0]
        pooled = torch.as_tensor(self.weights).to(coordinates_Nr) @ coordinates_Nr
        return pooled.clamp(-LARGEST, LARGEST).half().cpu().numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, for a file."""
        return {"mean": self.axes.mean, "axes": self.axes.axes, "weights": self.weights, "places": self.places}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Stage:
        """Restore from what `arrays` returned."""
        mean, axes, weights, places = (np.asarray(arrays[key]) for key in ("mean", "axes", "weights", "places"))
        return cls(PrincipalAxes(mean, axes), weights, places)


class StageFit:
    """Fits a `Stage` on a stream of batches; memory does not grow with their number."""

    def __init__(self, count: int, boxes: np.ndarray | None) -> None:
        self._weights, self._places = pooling(count, boxes)
        self._components = StreamingPCA(COMPONENTS, SKETCH, SEED)

    def update(self, tokens_bNd: Tensor) -> None:
        """Update with a batch, in float64: in single precision the last, weak components depend on batch size."""
        self._components.update(tokens_bNd.double())

    def stage(self) -> Stage:
        """Return the stage fitted on all batches so far."""
        return Stage(self._components.result(), self._weights, self._places)


def image_tokens(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Return the patches of the samples' first images, (b, 64, 192) in [0, 1], and their untrained code.

    Images go one by one, so that rounding does not depend on the batch.
    """
    patches = [_patches(sample) for sample in samples]
    return {"pixels": torch.cat(patches), "untrained": torch.cat([untrained(patch) for patch in patches])}


def _patches(sample: Sample) -> Tensor:
    image = torch.as_tensor(np.array(sample.images[0].convert("RGB")))
    return cut_patches(image[None], grid_boxes(CELLS), PATCH_PIXELS) / 255
