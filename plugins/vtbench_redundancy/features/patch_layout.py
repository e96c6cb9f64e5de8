"""The choice of tokens to measure, and the image patches that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.protocol import Protocol


@dataclass(frozen=True, slots=True)
class PatchLayout:
    """The measured tokens, and the part of the image that each of the m measured places stands for."""

    chosen_Sm: np.ndarray
    """(S, m) indices of tokens: one stratified choice a row; a single row of all where N <= m."""
    cells_m4: np.ndarray
    """(m, 4) left, top, right, bottom, as fractions of the image."""
    cell_of_N: np.ndarray | None = None
    """(N,) the measured place that each token lies in; None where all tokens are measured, or have no positions."""


def choose_layout(count: int, boxes: np.ndarray | None, m: int, subsets: int, seed: int) -> PatchLayout:
    """Choose the tokens to measure.

    Up to m tokens are all taken. Of more, each of the m cells of a grid gives one token, another one in each subset;
    a token lies in the cell that holds the centre of its box. Without boxes (or where a cell would be empty) the cells
    are m equal runs of the tokens in their order.

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
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside = [np.flatnonzero((c[0] <= x) & (x < c[2]) & (c[1] <= y) & (y < c[3])) for c in cells]
        if all(len(i) for i in inside):
            members, cell_of_N = inside, np.empty(count, dtype=np.int64)
            for number, cell in enumerate(inside):
                cell_of_N[cell] = number
    generator = np.random.default_rng(seed)
    drawn = [np.resize(generator.permutation(cell), subsets) for cell in members]
    return PatchLayout(np.stack(drawn, axis=1), cells, cell_of_N)


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

    >>> average_cells(torch.tensor([[[1.0], [3.0], [5.0]]]), np.array([0, 0, 1])).flatten().tolist()
    [2.0, 5.0]
    """
    cells = torch.as_tensor(cell_of_N, device=values_bNd.device)
    values = values_bNd if values_bNd.dtype == torch.float64 else values_bNd.float()
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
