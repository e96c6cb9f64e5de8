"""S2, the tokens' use: unique, dead and sink, where it is known which tokens are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.protocol import PROTOCOLS, Protocol
from vtbench_redundancy.scores.token_use import token_use

torch.set_num_threads(1)
N = 600


def use(tokens: np.ndarray, pixels: np.ndarray, norms: np.ndarray | None = None, **settings: float):
    """By `rs-v1` with some settings changed: shares of tokens that are significant."""
    protocol = replace(PROTOCOLS["rs-v1"], **settings)
    return token_use(tokens, pixels, np.ones(tokens.shape[:2]) if norms is None else norms, protocol)


def sizes(tokens: np.ndarray, pixels: np.ndarray):
    """By `rs-v2`: how much of a token's information no other token has."""
    return token_use(tokens, pixels, np.ones(tokens.shape[:2]))


def test_effect_sizes_of_known_tokens() -> None:
    """4 tokens of their own patch, 3 pairs of copies, 6 that know nothing: 4 of 10 shares of information are unique."""
    pixels = white(2000, 7, 2)
    found = sizes(np.concatenate([pixels, pixels[:, 4:], white(2000, 6, 2, 9)], axis=1), pixels)
    assert found.unique.value == pytest.approx(4 / 10, abs=0.02)
    assert found.dead.value == pytest.approx(6 / 16)
    assert sizes(pixels, pixels).unique.value == pytest.approx(1, abs=0.02)


def test_an_effect_size_has_its_closed_form() -> None:
    """Two noisy views of each patch: what the second adds to what the first says, over what it says."""
    pixels, noise = white(4000, 4, 2), white(4000, 8, 2, 9)
    floor, per = Protocol().floor, Protocol().token_floor * 2  # the floor is added at unit variance

    def nats(views: int) -> float:
        return 0.5 * float(np.log((1 + floor) / (1 / (1 + views / (1 + per)) + floor)))

    found = sizes(copies(pixels, 2) + noise, pixels)
    assert found.unique.value == pytest.approx((nats(2) - nats(1)) / nats(1), abs=0.02)
    assert found.unique.interval[0] < found.unique.value < found.unique.interval[1]


def test_tokens_that_know_nothing_are_all_dead() -> None:
    found = sizes(white(600, 16, 2, 5), white(600, 8, 2))
    assert (found.unique.value, found.dead.value) == (None, 1)
    assert "low_information" in found.unique.flags


def test_tokens_of_their_own_patch_are_all_unique() -> None:
    pixels = white(N, 8, 2)
    found = use(pixels, pixels)
    assert (found.unique.value, found.dead.value, found.sink.value) == (1, 0, 0)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("floor", [1e-1, 1e-2, 1e-3])
def test_copies_are_neither_unique_nor_dead(count: int, floor: float) -> None:
    """All of them at once: then the null of what a token adds knows nothing but the jitter either."""
    pixels = white(N, 8, 2)
    found = use(copies(pixels, count), pixels, floor=floor)
    assert (found.unique.value, found.dead.value) == (0, 0)


def test_a_mixed_set() -> None:
    """4 tokens of their own patch, 3 pairs of copies, 6 that know nothing."""
    pixels = white(N, 7, 2)
    tokens = np.concatenate([pixels, pixels[:, 4:], white(N, 6, 2, 9)], axis=1)
    found = use(tokens, pixels)
    unique, dead = (np.array(score.detail["nats"]) > score.detail["noise"] for score in (found.unique, found.dead))
    assert unique[:10].tolist() == [True] * 4 + [False] * 6
    assert dead[:10].all()
    assert found.unique.value == pytest.approx(4 / 16, abs=1.5 / 16)  # at most one of the six by chance
    assert found.dead.value == pytest.approx(6 / 16, abs=1.5 / 16)


def test_a_sum_of_two_tokens_makes_all_three_redundant() -> None:
    """Linear dependence, not only copies: any of the three follows from the others."""
    pixels = white(N, 5, 2)
    found = use(np.concatenate([pixels, pixels[:, :1] + pixels[:, 1:2]], axis=1), pixels)
    assert found.unique.value == pytest.approx(3 / 6)
    assert found.dead.value == 0


def test_1_in_20_of_the_tokens_that_know_nothing_is_taken_for_one_that_does() -> None:
    """The quantile is 95 %; of 16 x 40 tokens the share has a standard error of 0.9 %."""
    unique, alive = [], []
    for seed in range(40):
        found = use(white(200, 16, 2, 1000 + seed), white(200, 8, 2, seed))
        unique.append(found.unique.value)
        alive.append(1 - found.dead.value)
    assert 0.02 <= np.mean(unique) <= 0.09
    assert 0.02 <= np.mean(alive) <= 0.09


def test_what_a_token_adds_has_its_closed_form() -> None:
    """I(Z_i ; X̃ | Z_-i) and I(Z_i ; X̃) from covariances.

    An estimate of r canonical correlations has a variance of at most r / n; the plug-in is r q / 2n too high.
    """
    n, m, r, q = 10_000, 6, 2, 12
    model = GaussianModel.draw(seed=4, m=m, r=r, q=q, noise=0.7)
    tokens, pixels = model.sample(n, 5)
    scale = 1 / np.sqrt(np.diag(model.pixels_qq))
    cov_x = model.pixels_qq * np.outer(scale, scale) + Protocol().floor * np.eye(q)
    cov_z = model.map_Mq @ model.pixels_qq @ model.map_Mq.T + model.noise**2 * np.eye(m * r)
    cross = model.map_Mq @ model.pixels_qq * scale
    left = cov_z - cross @ np.linalg.solve(cov_x, cross.T)

    def nats(of: np.ndarray, given: np.ndarray) -> float:
        """½ log of how much less the tokens `of` vary once X̃ is known too, the tokens `given` being known."""
        both = np.concatenate([of, given])
        logs = [np.linalg.slogdet(c[np.ix_(i, i)])[1] for c in (cov_z, left) for i in (both, given)]
        return 0.5 * float(logs[0] - logs[1] - logs[2] + logs[3])

    own = [np.arange(i * r, (i + 1) * r) for i in range(m)]
    everything = np.arange(m * r)
    added = [nats(i, np.setdiff1d(everything, i)) for i in own]
    alone = [nats(i, everything[:0]) for i in own]
    found = use(tokens, pixels[:, :, None])
    bias, tolerance = r * q / (2 * n), 4 * (r / n) ** 0.5
    assert min(added) > 0.2
    assert np.array(found.unique.detail["nats"]) - bias == pytest.approx(np.array(added), abs=tolerance)
    assert np.array(found.dead.detail["nats"]) - bias == pytest.approx(np.array(alone), abs=tolerance)
    assert np.mean(found.unique.detail["nats"]) - bias == pytest.approx(np.mean(added), abs=tolerance / m**0.5)


def test_sinks_are_told_by_their_norm() -> None:
    pixels, generator = white(N, 8, 2), np.random.default_rng(0)
    norms = generator.uniform(0.8, 1.2, (N, 32)) * generator.uniform(0.9, 1.1, 32)
    assert use(pixels, pixels, norms).sink.value == 0
    norms[:, [3, 30]] *= 20
    found = use(pixels, pixels, norms).sink
    assert (found.value, found.detail["tokens"]) == (2 / 32, [3, 30])
    assert found.interval == (2 / 32, 2 / 32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_norms_make_no_sinks(dtype: type) -> None:
    """After a norm layer all norms are equal but for rounding, and there is no spread to measure by."""
    pixels = white(N, 8, 2)
    rounding = 1 + 1e-6 * np.random.default_rng(0).standard_normal((N, 64))
    assert use(pixels, pixels, (7 * rounding).astype(dtype)).sink.value == 0
    assert use(pixels, pixels, np.zeros((N, 64), dtype)).sink.value == 0


def test_too_few_images_leave_only_sinks() -> None:
    pixels = white(N, 16, 8)
    found = use(pixels[:100], pixels[:100, :, :2], np.ones((100, 16)))
    for score in (found.unique, found.dead):
        assert (score.value, score.flags) == (None, ("few_images",))
        assert score.detail["images_needed"] > 100
    assert (found.sink.value, found.sink.flags) == (0, ("few_images",))


def test_constants_are_flagged() -> None:
    pixels = white(N, 8, 2)
    for tokens, x, flag in [(np.ones_like(pixels), pixels, "constant_tokens"), (pixels, 0 * pixels, "constant_images")]:
        found = use(tokens, x)
        assert (found.unique.value, found.dead.value, found.sink.value) == (None, None, 0)
        assert found.unique.flags == found.dead.flags == (flag,)
