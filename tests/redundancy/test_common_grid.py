"""The grid that images share: what tokens fill, and what pooling does to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtbench_redundancy.features.common_grid import MOST_SIDE, Grid, common_grid, finest_grid, pooling_weights

SIDES = st.integers(1, MOST_SIDE)
GRIDS = st.builds(Grid, SIDES, SIDES)
ANY_GRIDS = st.builds(Grid, st.integers(1, 40), st.integers(1, 40))
WHOLE = np.array([[0.0, 0.0, 1.0, 1.0]])


@st.composite
def layouts(draw: Callable) -> np.ndarray:
    """Boxes of a grid, of which padding may cut a little; perhaps with an overview, or a class token."""
    boxes = draw(ANY_GRIDS).boxes()
    cut = draw(st.floats(0, 0.01))
    boxes = (boxes * (1 - 2 * cut)) + cut
    more = [WHOLE] * draw(st.booleans()) + [draw(ANY_GRIDS).boxes()] * draw(st.booleans())
    return np.concatenate([*more, boxes])


@given(grid=GRIDS)
def test_pooling_to_the_tokens_own_grid_is_the_identity(grid: Grid) -> None:
    assert finest_grid(grid.boxes()) == grid
    np.testing.assert_array_equal(pooling_weights(grid.boxes(), grid), np.eye(grid.cells))


@given(boxes=layouts(), grid=GRIDS)
def test_pooling_conserves_constants_wherever_it_can_be_done(boxes: np.ndarray, grid: Grid) -> None:
    weights = pooling_weights(boxes, grid)
    if weights is not None:
        assert weights.shape == (grid.cells, len(boxes))
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights @ np.full(len(boxes), 3.0), 3.0, rtol=1e-12)


@given(boxes=layouts())
def test_tokens_fill_their_finest_grid_and_the_coarsest(boxes: np.ndarray) -> None:
    finest = finest_grid(boxes)
    assert finest is not None
    assert pooling_weights(boxes, finest) is not None
    assert pooling_weights(boxes, Grid(1, 1)) is not None


@given(grid=GRIDS, down=st.integers(1, 4), across=st.integers(1, 4))
def test_a_cell_of_whole_tokens_is_their_plain_mean(grid: Grid, down: int, across: int) -> None:
    fine = Grid(grid.rows * down, grid.columns * across)
    values = np.random.default_rng(0).standard_normal((fine.rows, fine.columns))
    blocks = values.reshape(grid.rows, down, grid.columns, across).mean(axis=(1, 3))
    weights = pooling_weights(fine.boxes(), grid)
    assert weights is not None
    np.testing.assert_allclose(weights @ values.ravel(), blocks.ravel(), atol=1e-12)


@given(first=ANY_GRIDS, second=ANY_GRIDS)
def test_all_images_fill_the_grid_that_is_chosen(first: Grid, second: Grid) -> None:
    finest = [finest_grid(grid.boxes()) for grid in (first, second)]
    chosen = common_grid(dict.fromkeys(finest, 10))
    if chosen is not None:
        assert chosen.cells >= 4
        assert all(pooling_weights(grid.boxes(), chosen) is not None for grid in (first, second))


@pytest.mark.parametrize(
    ("grid", "finest"),
    [(Grid(1, 1), Grid(1, 1)), (Grid(1, 7), Grid(1, 7)), (Grid(37, 3), Grid(8, 3)), (Grid(100, 153), Grid(8, 8))],
)
def test_tokens_never_fill_cells_finer_than_themselves(grid: Grid, finest: Grid) -> None:
    """Else neighbouring cells would be copies: 2 x 8 tokens fill a grid of 2 x 8 cells, and none of 4 x 4."""
    assert finest_grid(grid.boxes()) == finest
    assert (pooling_weights(grid.boxes(), Grid(4, 4)) is None) == (min(grid) < 4)


def test_a_straddling_token_counts_in_both_cells_by_its_area() -> None:
    weights = pooling_weights(Grid(1, 3).boxes(), Grid(1, 2))
    np.testing.assert_allclose(weights, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


def test_an_overview_counts_where_its_tokens_are_no_larger_than_a_cell() -> None:
    boxes = np.concatenate([WHOLE, Grid(2, 2).boxes(), Grid(4, 4).boxes()])
    assert finest_grid(boxes) == Grid(4, 4)
    fine, coarse = pooling_weights(boxes, Grid(4, 4)), pooling_weights(boxes, Grid(2, 2))
    np.testing.assert_array_equal(fine, np.hstack([np.zeros((16, 5)), np.eye(16)]))
    np.testing.assert_array_equal(coarse[:, 1:5], np.eye(4) / 2)
    assert coarse[:, 0].tolist() == [0] * 4
    np.testing.assert_allclose(coarse[:, 5:].sum(axis=1), 1 / 2)


def test_tokens_of_a_part_of_the_image_fill_no_fine_grid() -> None:
    assert finest_grid(0.3 + 0.4 * Grid(8, 8).boxes()) in (None, Grid(1, 1))


def test_few_coarse_images_do_not_decide() -> None:
    assert common_grid({Grid(8, 8): 95, Grid(1, 1): 5}) == Grid(8, 8)
    assert common_grid({Grid(8, 8): 94, Grid(1, 1): 6}) is None
    assert common_grid({Grid(8, 8): 94, Grid(2, 3): 6}) == Grid(2, 3)
    assert common_grid({Grid(8, 2): 50, Grid(2, 8): 50}) == Grid(2, 2)
    assert common_grid({Grid(8, 8): 1, Grid(6, 4): 1}) == Grid(6, 4)
    assert common_grid({Grid(8, 8): 90, None: 10}) is None
    assert common_grid({}) is None
