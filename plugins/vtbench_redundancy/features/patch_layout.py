"""The choice of tokens to measure, and the image patches that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.features.common_grid import WIDER, shared_lengths
from vtbench_redundancy.protocol import Protocol

_ROUNDING = 1e-6
ACROSS_CELLS = "across_cells"
"""Flag, and name in a score's details, of tokens that lie across the edges of the cells that they are averaged in."""


@dataclass(frozen=True, slots=True)
class PatchLayout:
    """The measured tokens, and the part of the image that each of the m measured places stands for."""

    chosen_Sm: np.ndarray
    """(S, m) indices of tokens: one stratified choice a row; a single row of all where N <= m."""
    cells_m4: np.ndarray
    """(m, 4) left, top, right, bottom, as fractions of the image."""
    cell_of_N: np.ndarray | None = None
    """(N,) the measured place that each token lies in, or where tokens lie across the edges of places (m, N), the
    weight of each token in each place; None where all tokens are measured, or have no positions."""

    @property
    def across_cells(self) -> bool:
        """Whether tokens lie across the edges of places."""
        return self.cell_of_N is not None and self.cell_of_N.ndim == 2


def choose_layout(count: int, boxes: np.ndarray | None, m: int, subsets: int, seed: int) -> PatchLayout:
    """Choose the tokens to measure.

    Up to m tokens are all taken. Of more, each of the m cells of a grid gives one token, another one in each subset;
    a token is drawn for the cell that holds the centre of its box. Without boxes (or where a cell would be empty) the
    cells are m equal runs of the tokens in their order.

    Args:
        count: tokens an image has, N.
        boxes: (N, 4) parts of the image that the tokens stand for. Without them, a square number of tokens is taken
            for a grid in raster order.
        m: tokens in an estimate.
        subsets: choices to draw where N > m.
        seed: of the draw.
    """
    if boxes is None and round(count**0.5) ** 2 == count:
        boxes = grid_boxes(count)
    if count <= m:
        return PatchLayout(
            np.arange(count)[None], grid_boxes(count) if boxes is None else np.asarray(boxes, dtype=np.float64)
        )
    cells = grid_boxes(m)
    members, cell_of_N = [np.asarray(run) for run in np.array_split(np.arange(count), m)], None
    if boxes is not None:
        inside_mN = _centres_inside(boxes, cells)
        if inside_mN.any(axis=1).all():
            members = [np.flatnonzero(inside) for inside in inside_mN]
            cell_of_N = _cells_of_tokens(boxes, cells, inside_mN)
    generator = np.random.default_rng(seed)
    drawn = [np.resize(generator.permutation(cell), subsets) for cell in members]
    return PatchLayout(np.stack(drawn, axis=1), cells, cell_of_N)


def _centres_inside(boxes_N4: np.ndarray, cells_m4: np.ndarray) -> np.ndarray:
    """Return whether the centre of each token's box lies in each cell, (m, N); on an edge it lies in one of the two."""
    inside = np.ones((len(cells_m4), len(boxes_N4)), dtype=bool)
    for low, high in ((0, 2), (1, 3)):
        centre = ((boxes_N4[:, low] + boxes_N4[:, high]) / 2)[None]
        start, end = cells_m4[:, low, None], cells_m4[:, high, None]
        inside &= (start <= centre) & ((centre < end) | (end >= 1))
    return inside


def _cells_of_tokens(boxes_N4: np.ndarray, cells_m4: np.ndarray, inside_mN: np.ndarray) -> np.ndarray:
    """Return the cell of each token, (N,), or where any lies across an edge the weight of each in each cell, (m, N).

    A token that lies across the edge of two cells says something about both: with 14 x 14 tokens on 8 x 8 cells, the
    mean of those whose centres lie in a cell lacks a fifth of the image. Weights are shares of area and sum to 1 in
    each cell; a token that is wider or higher than a cell (of the whole image, say) has none.
    """
    across_mN, down_mN = (
        shared_lengths(boxes_N4[:, low], boxes_N4[:, high], cells_m4[:, low], cells_m4[:, high])
        for low, high in ((0, 2), (1, 3))
    )
    shared_mN = across_mN * down_mN
    sides_N2, cell_sides_m2 = boxes_N4[:, 2:] - boxes_N4[:, :2], cells_m4[:, 2:] - cells_m4[:, :2]
    fits_N = (sides_N2 <= cell_sides_m2.max(axis=0) * WIDER).all(axis=1)
    area_N = sides_N2.prod(axis=1)
    across_N = fits_N & (np.where(inside_mN, shared_mN, 0).sum(axis=0) < (1 - _ROUNDING) * area_N)
    weights = shared_mN * fits_N
    if not across_N.any() or not weights.any(axis=1).all():
        cell_of_N: np.ndarray = inside_mN.argmax(axis=0)
        return cell_of_N
    return weights / weights.sum(axis=1, keepdims=True)


def grid_boxes(count: int) -> np.ndarray:
    """Boxes (count, 4) of a grid in raster order: square where it can be, else in rows as equal as they can be."""
    rows = np.array_split(np.arange(count), max(1, round(count**0.5)))
    return np.array(
        [
            (j / len(row), i / len(rows), (j + 1) / len(row), (i + 1) / len(rows))
            for i, row in enumerate(rows)
            for j in range(len(row))
        ]
    )


def average_cells(values_bNd: Tensor, cell_of_N: np.ndarray) -> Tensor:
    """Average what lies in each cell, (b, N, d) to (b, m, d).

    Args:
        values_bNd: of all tokens.
        cell_of_N: the cell of each token, or weights (m, N), see `PatchLayout`.

    >>> values = torch.tensor([[[1.0], [3.0], [5.0]]])
    >>> average_cells(values, np.array([0, 0, 1])).flatten().tolist()
    [2.0, 5.0]
    >>> average_cells(values, np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]])).flatten().tolist()
    [2.0, 4.0]
    """
    cells = torch.as_tensor(cell_of_N, device=values_bNd.device)
    values = values_bNd if values_bNd.dtype == torch.float64 else values_bNd.float()
    if cells.ndim == 2:
        return cells.to(values) @ values
    counts = cells.bincount().to(values)
    sums = values.new_zeros(len(values), len(counts), values.shape[2]).index_add_(1, cells, values)
    return sums / counts[:, None]


def cut_patches(images_bhwc: Tensor, cells_k4: np.ndarray, side: int) -> Tensor:
    """Cut images into patches (b, k, side·side·c): each cell averaged to side x side pixels.

    A cell's edges are rounded to whole pixels; it has at least one.
    """
    images = images_bhwc.permute(0, 3, 1, 2)
    images = images if images.dtype == torch.float64 else images.float()
    (b, c), (height, width) = images.shape[:2], images.shape[2:]
    by_size: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for cell, (left, top, right, bottom) in enumerate(cells_k4.tolist()):
        x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
        size = max(round(bottom * height) - y, 1), max(round(right * width) - x, 1)
        by_size.setdefault(size, []).append((cell, x, y))
    patches = images.new_empty(b, len(cells_k4), side * side * c)
    for (h, w), alike in by_size.items():  # one call for all cells of a size: they are many and small
        crops = torch.stack([images[:, :, y : y + h, x : x + w] for _, x, y in alike], dim=1)
        pooled = torch.nn.functional.adaptive_avg_pool2d(crops.flatten(0, 1), side)
        patches[:, [cell for cell, _, _ in alike]] = pooled.reshape(b, len(alike), -1)
    return patches


def cut_token_and_grid_patches(images_bhwc: Tensor, cells_m4: np.ndarray, protocol: Protocol) -> tuple[Tensor, Tensor]:
    """The patches that stand for the measured tokens, and those of the fixed grid that makes up X.

    X is the same for every model, whatever its tokens; for as many tokens on a square grid the two are one.
    """
    whole_cells = grid_boxes(protocol.cells)
    whole = cut_patches(images_bhwc, whole_cells, protocol.patch_pixels)
    same = cells_m4.shape == whole_cells.shape and np.allclose(cells_m4, whole_cells)
    return (whole if same else cut_patches(images_bhwc, cells_m4, protocol.patch_pixels)), whole
