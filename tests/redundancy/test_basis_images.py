"""No image is in the basis and scored, and equal images are one observation, in whatever order images come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vtbench_redundancy import redundancy_score, score_arrays
from vtbench_redundancy.features.basis_images import LEAST_BASIS, join_equal_images, scored_images
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol

torch.set_num_threads(1)
SCENES, FRAMES = 200, 3
PROTOCOL = Protocol(r=4, r_x=64, permutations=2)


@given(names=st.lists(st.sampled_from(["", *"abcdefghijklmnopqrstuvwxyz"]), min_size=120, max_size=400))
def test_a_named_cluster_is_whole_on_one_side(names: list[str]) -> None:
    scored = scored_images(len(names), names, 1000)
    sides = {name: {bool(scored[i]) for i, of in enumerate(names) if of == name} for name in set(names) - {""}}
    largest = max(map(names.count, sides), default=0)
    if largest <= len(names) // 6:
        assert all(len(side) == 1 for side in sides.values())
        assert len(names) // 3 <= (~scored).sum() <= len(names) // 2
    assert scored.sum() >= MIN_IMAGES
    assert (~scored).sum() >= LEAST_BASIS


def test_blank_names_are_clusters_of_their_own() -> None:
    films = [f"film {i // 5}" for i in range(150)]
    scored = scored_images(300, films + [""] * 150, 1000)
    assert (~scored).sum() == 100
    assert scored[150:].all()


def test_a_cluster_of_nearly_all_images_is_not_the_basis() -> None:
    scored = scored_images(300, ["film"] * 200 + [str(i) for i in range(100)], 1000)
    assert not scored[200:].any()
    assert scored[:200].all()


def ignorant(order: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Tokens and images that know nothing of each other, each scene several times in some order."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (SCENES, 8, 8, 3), dtype=np.uint8)
    tokens = rng.standard_normal((SCENES, 4, 64)).astype(np.float32)
    return tokens[order], images[order], [f"scene {i}" for i in order]


@pytest.mark.parametrize("arranged", [np.repeat, np.tile], ids=["scene after scene", "round after round"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_tokens_that_know_nothing_have_no_score_in_any_order_of_images(
    arranged: Callable[..., np.ndarray], named: bool
) -> None:
    tokens, images, clusters = ignorant(arranged(np.arange(SCENES), FRAMES))
    found = redundancy_score(tokens, images, clusters=clusters if named else None, protocol=PROTOCOL)
    assert found.rs.value is None
    assert "low_information" in found.rs.flags


def test_an_image_that_is_there_three_times_counts_once() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((300, 4, 6)).astype(np.float32)
    tokens = np.concatenate([pixels, pixels], axis=1) + 0.3 * rng.standard_normal((300, 8, 6)).astype(np.float32)
    once = score_arrays(tokens, patches=pixels).scores()["rs"]
    thrice = score_arrays(np.tile(tokens, (3, 1, 1)), patches=np.tile(pixels, (3, 1, 1))).scores()["rs"]
    assert thrice.stderr == pytest.approx(once.stderr, rel=0.3)


def test_equal_images_join_the_clusters_that_hold_them() -> None:
    names = ["a", "a", "b", "", "c", ""]
    assert join_equal_images(names, [1, 2, 3, 4, 5, 6]) is names
    joined = join_equal_images(names, [1, 2, 2, 4, 5, 4])
    assert joined is not None
    assert len({joined[0], joined[1], joined[2]}) == 1
    assert joined[3] == joined[5]
    assert len(set(joined)) == 3
    assert join_equal_images(None, [7, 7, 7]) is None  # `constant_images` says so
