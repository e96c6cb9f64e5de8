"""Images with unequal token counts: what the first ones have in common, and batches pooled to that.

    first images -> FirstTokens -> CommonGrids : a Batch -> the Batch with as many tokens for every image

A layer at which all first images have tokens of one number in one arrangement is left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.types import VisualTokens
from vtbench_redundancy.features.common_grid import LEAST_CELLS, Grid, common_grid, finest_grid, pooling_weights

_KEPT_WEIGHTS = 32
"""Pooling weights that are kept: a batch has images of few sizes."""


class FirstTokens:
    """Records how many tokens the first images have, and where these stand. Memory grows with the sizes of images."""

    def __init__(self) -> None:
        self._arrangements: dict[str, Counter[tuple[int, Grid | None]]] = {}
        self._finest: dict[str, Counter[Grid | None]] = {}
        self._known: dict[bytes, tuple[Grid | None, Grid | None]] = {}

    def add(self, samples: Batch, layers: Sequence[str]) -> None:
        """Record a batch's tokens at those of `layers` that it has."""
        for layer in layers:
            if layer not in samples.visual:
                continue
            visual = samples.visual[layer]
            for row in range(len(samples.samples)):
                boxes = visual.boxes_of(row)
                finest, arranged = (None, None) if boxes is None else self._grids(boxes)
                self._finest.setdefault(layer, Counter())[finest] += 1
                self._arrangements.setdefault(layer, Counter())[visual.tokens.shape[1], arranged] += 1

    def _grids(self, boxes: np.ndarray) -> tuple[Grid | None, Grid | None]:
        """Return the finest grid of the image, and of the part of it that the tokens cover: a crop has the same."""
        key = np.asarray(boxes, dtype=np.float32).tobytes()
        if key not in self._known:
            start, end = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
            own = (boxes - np.tile(start, 2)) / np.tile(np.maximum(end - start, 1e-9), 2)
            self._known[key] = finest_grid(boxes), finest_grid(own)
        return self._known[key]

    def common_grids(self) -> CommonGrids | None:
        """Choose a grid for each layer whose tokens differ; None if those of no layer do."""
        grids, left_out = dict[str, Grid](), dict[str, str]()
        for layer, arrangements in self._arrangements.items():
            counts = {count for count, _ in arrangements}
            placed = {arranged for _, arranged in arrangements if arranged is not None}
            if len(counts) == 1 and len(placed) <= 1:
                continue
            finest = self._finest[layer]
            grid = common_grid(finest)
            if grid is None:
                images = sum(finest.values())
                left_out[layer] = (
                    f"the tokens of {finest[None]} of the first {images} images have no boxes that fill a grid"
                    if finest[None] > images / 20
                    else f"the first {images} images share no grid of {LEAST_CELLS} cells"
                )
            else:
                grids[layer] = grid
        if not grids and not left_out:
            return None
        headline = next(iter(self._arrangements))
        images_by_count: Counter[int] = Counter()
        for (count, _), images in self._arrangements[headline].items():
            images_by_count[count] += images
        return CommonGrids(headline, grids, left_out, dict(sorted(images_by_count.items())))


@dataclass(frozen=True)
class CommonGrids:
    """Pools the tokens of batches to the grids that the first images share."""

    headline: str
    """The main layer."""
    grids: Mapping[str, Grid]
    """By layer; a layer that is not here is as it is, or left out."""
    left_out: Mapping[str, str]
    """By layer, why its tokens cannot be pooled."""
    images_by_count: Mapping[int, int]
    """Number of the first images by their number of tokens at the main layer."""
    _weights: dict[tuple[Grid, bytes], Tensor | None] = field(default_factory=dict, compare=False, repr=False)

    def without_grid(self, why: str = "the first images were seen once only") -> CommonGrids:
        """Return the same of images of which only those of one token count are measured."""
        return replace(self, grids={}, left_out={self.headline: self.left_out.get(self.headline, why)})

    @property
    def usable(self) -> bool:
        """Whether the main layer can be measured on all images."""
        return self.headline not in self.left_out

    def pooled(self, batch: Batch, strict: bool = True) -> Batch:
        """Return the batch with tokens (n, cells, d) and the cells' boxes at each layer that is pooled.

        Args:
            batch: tokens with boxes.
            strict: whether a sample that cannot be pooled is an error; else it is left out.

        Raises:
            SampleError: tokens have no boxes, or are coarser than the grid; or that is true of all samples.
        """
        visual = {layer: each for layer, each in batch.visual.items() if layer not in self.left_out}
        weights: dict[str, list[Tensor | None]] = {
            layer: [self._weights_of(visual[layer].boxes_of(row), grid) for row in range(len(batch.samples))]
            for layer, grid in self.grids.items()
            if layer in visual
        }
        rows = [row for row in range(len(batch.samples)) if all(each[row] is not None for each in weights.values())]
        if not rows or (strict and len(rows) < len(batch.samples)):
            layer = next(layer for layer, each in weights.items() if any(one is None for one in each))
            rows_, columns = self.grids[layer]
            raise SampleError(
                f"the tokens at {layer} have no boxes, or are coarser than the grid of {rows_} x {columns} cells that "
                "the first images share"
            )
        whole = len(rows) == len(batch.samples)
        for layer, each in visual.items():
            if layer in weights:
                cells = _cell_means(torch.as_tensor(each.tokens), rows, weights[layer])
                visual[layer] = VisualTokens(layer, cells, self.grids[layer].boxes())
            elif not whole:
                boxes = each.boxes_of(rows[0])  # of tokens in one arrangement
                visual[layer] = replace(each, tokens=each.tokens[rows], boxes=boxes)
        samples, outputs = [batch.samples[row] for row in rows], [batch.outputs[row] for row in rows if batch.outputs]
        return batch if whole and not weights else Batch(samples, outputs, visual)

    def _weights_of(self, boxes: np.ndarray | None, grid: Grid) -> Tensor | None:
        if boxes is None:
            return None
        key = grid, np.asarray(boxes, dtype=np.float32).tobytes()
        if key not in self._weights:
            found = pooling_weights(boxes, grid)
            if len(self._weights) == _KEPT_WEIGHTS:
                del self._weights[next(iter(self._weights))]
            self._weights[key] = None if found is None else torch.as_tensor(found)
        return self._weights[key]

    def facts(self, layer: str) -> dict[str, Any]:
        """Return what the details of a layer's score say about its grid."""
        counts = {"first_images_by_token_count": {str(count): n for count, n in self.images_by_count.items()}}
        if not self.usable:
            return {"no_grid": self.left_out[self.headline], **counts}
        left_out = {"layers_without_grid": dict(self.left_out)} if self.left_out else {}
        return left_out | ({"grid": list(self.grids[layer]), **counts} if layer in self.grids else {})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, for a file."""
        found = {f"grid/{layer}": np.array(grid) for layer, grid in self.grids.items()}
        found |= {f"no_grid/{layer}": np.array(why) for layer, why in self.left_out.items()}
        counts = np.array(list(self.images_by_count.items()))
        return found | {"grid_headline": np.array(self.headline), "images_by_count": counts}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> CommonGrids | None:
        """Restore from what `arrays` returned; None if it is not among them.

        Runs that were begun before tokens were pooled have stored no more than the number of images by count.
        """
        if "images_by_count" not in arrays:
            return None
        grids, left_out = dict[str, Grid](), dict[str, str]()
        for key, value in arrays.items():
            kind, _, layer = key.partition("/")
            if kind == "grid":
                grids[layer] = Grid(*(int(side) for side in value))
            elif kind == "no_grid":
                left_out[layer] = str(value)
        counts: Counter[int] = Counter()
        for count, images in arrays["images_by_count"]:
            counts[int(count)] += int(images)
        if "grid_headline" not in arrays:
            return cls("connector", {}, {"connector": "the run was begun before tokens were pooled"}, counts)
        return cls(str(arrays["grid_headline"]), grids, left_out, counts)


def _cell_means(tokens_nNd: Tensor, rows: Sequence[int], weights: Sequence[Tensor | None]) -> Tensor:
    """Return the means (k, cells, d) of the tokens of k rows in each cell, in single precision or double."""
    tokens = tokens_nNd if tokens_nNd.dtype == torch.float64 else tokens_nNd.float()
    found = []
    for row in rows:
        weight_CN = weights[row]
        assert weight_CN is not None
        found.append(weight_CN.to(tokens) @ tokens[row])
    return torch.stack(found)
