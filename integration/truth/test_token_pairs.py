"""Pairs of tokens by nearest neighbours: the second opinion on the Gaussian copula."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from redundancy_fakes import white

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.token_pairs import PairRedundancy, pair_redundancy

torch.set_num_threads(1)
N = 600


@pytest.fixture(scope="module")
def own() -> PairRedundancy:
    """Six tokens of their own patch."""
    pixels = white(N, 6, 2)
    return pair_redundancy(pixels, patches=pixels)


@pytest.fixture(scope="module")
def near_copies() -> PairRedundancy:
    """Two views of one patch."""
    pixels = white(N, 1, 1)
    return pair_redundancy(np.repeat(pixels, 2, axis=1) + 0.5 * white(N, 2, 1, 1), patches=pixels)


def test_independent_tokens_are_not_redundant(own: PairRedundancy) -> None:
    for name, score in own.scores().items():
        assert score.value == pytest.approx(0, abs=0.02), name
        assert score.interval[0] <= score.value <= score.interval[1]
        assert (score.flags, score.n, score.percent) == ((), N - N // 3 * (own.rs.detail["n"] < N), False)
        facts = {key: score.detail[key] for key in ("m", "r", "r_x", "pairs")}
        assert facts == {"m": 2, "r": 1, "r_x": 2, "pairs": 8}


def test_neighbours_by_themselves_would_call_them_redundant(own: PairRedundancy) -> None:
    """Why their error on Gaussian draws is taken off."""
    assert own.rs.detail["raw"] > 0.03


def test_copies_are_half_redundant() -> None:
    pixels = white(N, 4, 2)
    found = pair_redundancy(np.repeat(pixels[:, :1], 2, axis=1), patches=pixels)
    assert [score.value for score in found.scores().values()] == pytest.approx([0.5, 0.5, 0], abs=0.01)


def test_gaussian_data_have_their_closed_form(near_copies: PairRedundancy) -> None:
    """Twice z = x + η / 2, against x̃ = x + ε."""
    floor = Protocol().floor

    def nats(views: int) -> float:
        left = 1 / (1 + views / 0.25)
        return 0.5 * float(np.log((1 + floor) / (left + floor)))

    truth = 1 - nats(2) / (2 * nats(1))
    assert near_copies.rs_gaussian.value == pytest.approx(truth, abs=0.02)
    assert near_copies.rs.value == pytest.approx(truth, abs=0.05)
    assert near_copies.difference.interval[0] <= 0 <= near_copies.difference.interval[1]


def test_a_dependence_that_is_not_monotone_is_seen_by_neighbours_only() -> None:
    """Two noisy views of x²: a copula of normal scores sees nothing, neighbours that they say much the same."""
    pixels = white(N, 1, 1)
    tokens = np.repeat(pixels**2, 2, axis=1) + 0.3 * white(N, 2, 1, 3)
    found = pair_redundancy(tokens, patches=pixels)
    assert found.rs_gaussian.value is None
    assert found.rs_gaussian.flags == ("low_information",)
    assert found.difference.value is None
    assert found.rs.value == pytest.approx(0.46, abs=0.15)
    assert found.rs.interval[0] > 0.2
    assert found.rs.flags == ()


def test_clusters_count_as_one() -> None:
    pixels = np.repeat(white(N // 2, 3, 1), 2, axis=0)
    found = pair_redundancy(pixels, patches=pixels, clusters=["all"] * N)
    assert "few_clusters" in found.rs.flags


@pytest.mark.parametrize("what", ["constant", "noise"])
def test_nothing_to_share_has_no_value(what: str) -> None:
    tokens = np.full((N, 3, 2), 0.1, np.float32) if what == "constant" else white(N, 3, 2, 9)
    for score in pair_redundancy(tokens, patches=white(N, 3, 2)).scores().values():
        assert (score.value, score.flags) == (None, ("low_information",))
        json.dumps(asdict(score), allow_nan=False)


@pytest.mark.parametrize(
    ("tokens", "settings", "message"),
    [
        (white(N), {"r": 4}, "r = 4 coordinates a token; nearest neighbours take at most 3"),
        (white(52), {"r": 1}, "52 images are too few for pairs of tokens; give at least 60"),
        (white(N)[:, :1], {"r": 1}, "one token an image"),
    ],
)
def test_what_does_not_fit(tokens: np.ndarray, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pair_redundancy(tokens, patches=white(len(tokens)), protocol=Protocol(**settings))


def test_few_images_are_flagged() -> None:
    pixels = white(60, 2, 1)
    assert "few_images" in pair_redundancy(pixels, patches=pixels).rs.flags
