"""The grid that images with unequal token counts share, and the pooling of their tokens to it.

A grid divides the image into rows x columns of equal cells, whatever the image's size: cells are fractions of it. A
token's box says which part of the image it stands for, and a cell's token is the mean of an image's tokens, weighted by
the area that their boxes have in the cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil, floor
from typing import NamedTuple

import numpy as np

MOST_SIDE = 8
"""Rows and columns of a grid at most: those of the grid that the image itself is looked at on, X of the protocol."""
LEAST_CELLS = 4
"""A coarser grid says too little about the tokens: it is not used."""
SHARE = 0.95
"""Part of the first images whose tokens must fill the grid. The few that are coarser than the others are left out."""
WIDER = 1.05
"""A token may be that much wider or higher than a cell, by rounding of patches at the image's edges."""
_COVERED = 0.5
"""Part of each cell that the tokens must cover: padding may cut the last row or column."""
_SIZES = 32
"""Sizes of tokens that are tried in one image; regular grids, tiles and class tokens have few."""


class Grid(NamedTuple):
    """Rows and columns of cells."""

    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    def boxes(self) -> np.ndarray:
        """Return the boxes (cells, 4) of the cells, row by row.

        >>> Grid(1, 2).boxes().tolist()
        [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
        """
        y, x = np.divmod(np.arange(self.cells), self.columns)
        edges = [x / self.columns, y / self.rows, (x + 1) / self.columns, (y + 1) / self.rows]
        return np.stack(edges, axis=1)


def finest_grid(boxes_N4: np.ndarray) -> Grid | None:
    """Return the grid of most cells that an image's tokens fill; None if they fill none.

    Tokens fill a grid if those that are no larger than a cell cover at least half of each cell: otherwise cells would
    be given the same token, which looks like redundancy.

    >>> finest_grid(Grid(3, 4).boxes())
    Grid(rows=3, columns=4)
    >>> finest_grid(np.concatenate([Grid(2, 2).boxes(), Grid(4, 4).boxes()]))  # an overview and tiles
    Grid(rows=4, columns=4)
    """
    sizes = np.unique((boxes_N4[:, 2:] - boxes_N4[:, :2]).round(4), axis=0)
    sizes = sizes[(sizes > 0).all(axis=1)]
    if len(sizes) > _SIZES:
        sizes = sizes[np.linspace(0, len(sizes) - 1, _SIZES).round().astype(int)]
    sides = {tuple(min(MOST_SIDE, max(1, floor(WIDER / side))) for side in size) for size in sizes.tolist()}
    for grid in sorted((Grid(rows, columns) for columns, rows in sides), key=lambda g: (-g.cells, g)):
        if pooling_weights(boxes_N4, grid) is not None:
            return grid
    return None


def pooling_weights(boxes_N4: np.ndarray, grid: Grid) -> np.ndarray | None:
    """Return the weights (cells, N) of an image's tokens in each cell, which sum to 1; None if they do not fill it.

    A token that is larger than a cell (of an overview, a class token) has no place on the grid, and has no weight.
    """
    boxes = np.asarray(boxes_N4, dtype=np.float64)
    fits_N = (boxes[:, 2] - boxes[:, 0] <= WIDER / grid.columns) & (boxes[:, 3] - boxes[:, 1] <= WIDER / grid.rows)
    columns, rows = (np.arange(parts + 1) / parts for parts in (grid.columns, grid.rows))
    across_cN = shared_lengths(boxes[:, 0], boxes[:, 2], columns[:-1], columns[1:])
    down_rN = shared_lengths(boxes[:, 1], boxes[:, 3], rows[:-1], rows[1:]) * fits_N
    area_CN = (down_rN[:, None] * across_cN[None]).reshape(grid.cells, len(boxes))
    covered_C = area_CN.sum(axis=1, keepdims=True)
    if not (covered_C >= _COVERED / grid.cells).all():
        return None
    return area_CN / covered_C


def shared_lengths(start_N: np.ndarray, end_N: np.ndarray, from_c: np.ndarray, to_c: np.ndarray) -> np.ndarray:
    """Return the length that each of N intervals has in each of c others, (c, N); what is rounding is 0."""
    length = np.minimum(end_N, to_c[:, None]) - np.maximum(start_N, from_c[:, None])
    return np.where(length > 1e-9 * (to_c - from_c)[:, None], length, 0.0)


def common_grid(images_by_finest: Mapping[Grid | None, int]) -> Grid | None:
    """Return the grid of most cells that at least 95 % of the images fill; None if it would have under 4 cells.

    Args:
        images_by_finest: number of images by the finest grid that each fills; None for those without boxes.

    >>> common_grid({Grid(4, 8): 10, Grid(6, 6): 10})
    Grid(rows=4, columns=6)
    """
    known = Counter({grid: n for grid, n in images_by_finest.items() if grid is not None})
    least, best = ceil(SHARE * sum(images_by_finest.values())), None
    for rows in {grid.rows for grid in known}:
        for columns in {grid.columns for grid in known}:
            images = sum(n for grid, n in known.items() if grid.rows >= rows and grid.columns >= columns)
            if images >= max(1, least) and rows * columns >= LEAST_CELLS:
                best = max(best or (0, 0, Grid(0, 0)), (rows * columns, images, Grid(rows, columns)))
    return best[2] if best else None
