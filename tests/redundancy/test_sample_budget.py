"""How much is measured with few images: never more than they allow, and everything where they are enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redundancy_fakes import white

from vtbench_redundancy.protocol import MIN_IMAGES, PROTOCOLS, Protocol
from vtbench_redundancy.scores.redundancy_score import score_coordinates
from vtbench_redundancy.scores.sample_budget import CROSSED_REDUCED_ROOM, REDUCED_ROOM, SampleBudget, images_needed

PROTOCOL = PROTOCOLS["rs-v1"]
CASES = {
    "m": st.integers(2, 64),
    "r": st.integers(1, 8),
    "cells": st.tuples(st.integers(1, 64), st.integers(1, 8)),
}


def budget(n: int, m: int, r: int, cells: tuple[int, int]) -> SampleBudget:
    return SampleBudget.of(n, m, r, cells, PROTOCOL)


def dimensions(found: SampleBudget, m: int, r: int) -> int:
    """Of the covariance of all that is measured together; 0 where nothing is."""
    places = found.token_choices(m)
    return found.q + r * len(places[0]) if places else 0


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 3000), **CASES)
def test_never_more_dimensions_than_the_images_allow(n: int, m: int, r: int, cells: tuple[int, int]) -> None:
    found = budget(n, m, r, cells)
    measured = dimensions(found, m, r)
    if "reduced" in found.flags:
        assert images_needed(measured, PROTOCOL, CROSSED_REDUCED_ROOM) <= n + 1  # rounded up
    else:
        assert images_needed(measured, PROTOCOL) == found.images_needed <= n


@settings(max_examples=100, deadline=None)
@given(more=st.integers(0, 500), **CASES)
def test_everything_where_images_are_enough(more: int, m: int, r: int, cells: tuple[int, int]) -> None:
    needed = images_needed(m * r + cells[0] * cells[1], PROTOCOL)
    found = budget(max(needed, 300) + more, m, r, cells)
    assert found.coordinates.tolist() == list(range(cells[0] * cells[1]))
    assert [place.tolist() for place in found.token_choices(m)] == [list(range(m))]
    assert found.flags == ()


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 3000), more=st.integers(1, 500), **CASES)
@example(n=50, more=3, m=2, r=8, cells=(25, 1))  # with 53 images X took the budget of the second token
def test_more_images_measure_no_less(n: int, more: int, m: int, r: int, cells: tuple[int, int]) -> None:
    """X never shrinks; together with whole tokens, what is measured falls short of its allowance by under a token."""
    few, many = budget(n, m, r, cells), budget(n + more, m, r, cells)
    assert few.q <= many.q
    assert set(few.coordinates) <= set(many.coordinates)
    assert dimensions(few, m, r) < dimensions(many, m, r) + r


@settings(max_examples=200, deadline=None)
@given(n=st.integers(60, 3000), **CASES)
def test_from_60_images_up_there_are_two_tokens_at_least(n: int, m: int, r: int, cells: tuple[int, int]) -> None:
    places = budget(n, m, r, cells).token_choices(m)
    assert places
    for place in places:
        assert len(place) >= 2
        assert len(set(place.tolist())) == len(place)
        assert set(place.tolist()) <= set(range(m))


def test_leading_coordinates_of_all_cells_come_first() -> None:
    """A fifth of X: no second coordinate of any of 64 cells goes in before the first ones."""
    found = budget(150, 64, 8, (64, 2))
    assert "reduced" in found.flags
    assert 0 < found.q <= 64
    assert set(found.coordinates % 2) == {0}


def test_choices_of_fewer_tokens_differ() -> None:
    places = budget(400, 64, 8, (64, 2)).token_choices(64)
    assert len(places) == PROTOCOL.subsets
    assert len({tuple(place) for place in places}) == PROTOCOL.subsets
    assert len(np.unique(np.concatenate(places))) > 2 * len(places[0])


@pytest.mark.parametrize(("n", "flags"), [(MIN_IMAGES, ("few_images", "reduced")), (299, ("few_images",)), (300, ())])
def test_flags(n: int, flags: tuple[str, ...]) -> None:
    assert budget(n, 4, 4, (4, 4)).flags == flags


def test_coordinates_give_way_before_tokens() -> None:
    """`rs-v2`: a token's coordinates first, then those of the image, then tokens."""
    seen = []
    for n in (996, 995, 400, 300, 200):
        found = SampleBudget.of(n, 64, 4, (64, 3), Protocol())
        seen.append((found.r, found.q, found.components, len(found.token_choices(64)[0])))
    assert seen == [
        (4, 192, False, 64), (2, 192, False, 64), (2, 184, True, 64), (2, 106, True, 64), (2, 39, True, 58)
    ]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(n=st.integers(60, 3000), **CASES)
def test_rs_v2_never_measures_more_than_the_images_allow(n: int, m: int, r: int, cells: tuple[int, int]) -> None:
    found = SampleBudget.of(n, m, r, cells, Protocol())
    places = found.token_choices(m)
    assert places
    assert len(places[0]) >= 2
    assert images_needed(found.q + found.r * len(places[0]), Protocol(), REDUCED_ROOM) <= n + 1


def test_grey_images_need_no_images_for_colours() -> None:
    """Of 16 cells with three axes of colour, two of which are nothing, 16 coordinates are counted."""
    grey = white(300, 16, 1)
    tokens = (grey + white(300, 16, 4, seed=1))[:, None]
    coloured = np.concatenate([grey, np.zeros((300, 16, 2), np.float32)], axis=2)
    assert score_coordinates(tokens, None, coloured).rs == score_coordinates(tokens, None, grey).rs
    assert score_coordinates(tokens, None, coloured).rs.flags == ()
