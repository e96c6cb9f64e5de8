"""What the Redundancy Score must say where the truth is known: 2,000 images unless said."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from redundancy_fakes import copies as repeat
from redundancy_fakes import white

from vtbench_redundancy import Protocol, redundancy_score
from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.scores.redundancy_score import score_coordinates

torch.set_num_threads(1)
N = 2000


def rs(tokens: np.ndarray, pixels: np.ndarray, **settings: float) -> float:
    """By two draws of the noise and of the null: of 2,000 images they differ by less than any tolerance here."""
    value = redundancy_score(tokens, patches=pixels, protocol=Protocol(**{"permutations": 2, **settings})).rs.value
    assert value is not None
    return value


@pytest.fixture(scope="module")
def mixed() -> tuple[np.ndarray, np.ndarray]:
    """Twelve noisy, overlapping tokens of eight patches."""
    pixels, generator = white(N, 8, 8, 4), np.random.default_rng(5)
    tokens = pixels.reshape(N, -1) @ generator.standard_normal((64, 96)) / 8
    return (tokens + 0.5 * generator.standard_normal((N, 96))).reshape(N, 12, 8), pixels


@pytest.fixture(scope="module")
def mixed_rs(mixed: tuple[np.ndarray, np.ndarray]) -> float:
    return rs(*mixed)


@pytest.mark.parametrize("code", [lambda x: x, np.tanh, np.exp], ids=["linear", "tanh", "exp"])
def test_tokens_of_their_own_patch_are_not_redundant(code) -> None:
    pixels = white(N, 16, 8, 0)
    assert rs(code(pixels), pixels) == pytest.approx(0, abs=0.01)


def test_full_size_tokens_of_their_own_patch_are_not_redundant() -> None:
    pixels = white(N, 64, 8, 1)
    found = redundancy_score(pixels, patches=pixels)
    assert found.rs.value == pytest.approx(0, abs=0.01)
    assert found.r_pix.value == pytest.approx(0, abs=0.01)
    assert found.n_eff.value == pytest.approx(64, abs=0.64)


@pytest.mark.parametrize("copies", [2, 4, 8])
def test_copies(copies: int) -> None:
    pixels = white(N, 8, 8, 2)
    assert rs(repeat(pixels, copies), pixels) == pytest.approx(1 - 1 / copies, abs=0.01)


def test_near_copies_fall_towards_zero_as_their_own_noise_grows() -> None:
    pixels, noise = white(N, 8, 8, 3), white(N, 32, 8, 4)
    found = [rs(repeat(pixels, 4) + spread * noise, pixels) for spread in (0, 0.1, 0.3, 1, 3, 6)]
    assert all(a > b for a, b in pairwise(found)), found
    assert found[0] == pytest.approx(0.75, abs=0.01)
    assert found[-1] < 0.1


@pytest.mark.parametrize("low_rank", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_linear_tokens(seed: int, low_rank: bool) -> None:
    """Of 24 of 64 pixel dimensions; without a token floor it is 1 - rank(A) / Σ rank(A_i)."""
    generator = np.random.default_rng(seed)
    maps = []
    for _ in range(12):
        rank = int(generator.integers(1, 9)) if low_rank else 8
        part = generator.standard_normal((24, rank)) @ generator.standard_normal((rank, 8))
        maps.append(np.vstack([part, np.zeros((40, 8))]))
    pixels = white(N, 8, 8, seed)
    tokens = np.stack([pixels.reshape(N, -1) @ a for a in maps], axis=1)
    ranks = [np.linalg.matrix_rank(a) for a in maps]
    of_ranks = 1 - np.linalg.matrix_rank(np.hstack(maps)) / sum(ranks)
    model = GaussianModel(np.eye(64), np.hstack(maps).T, noise=0.0, m=12, r=8)
    for floor in (1e-2, 1e-1):
        known = model.rs(floor, Protocol().token_floor)
        assert rs(tokens, pixels, floor=floor) == pytest.approx(known, abs=0.02)
    assert rs(tokens, pixels, token_floor=1e-6) == pytest.approx(of_ranks, abs=0.02)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    m=st.integers(2, 8),
    r=st.integers(1, 4),
    q=st.integers(2, 24),
    noise=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    own=st.sampled_from([0.05, 0.3, 1.0]),
)
def test_any_gaussian_case_has_its_closed_form(seed: int, m: int, r: int, q: int, noise: float, own: float) -> None:
    model = GaussianModel.draw(seed, m, r, q, noise, own)
    z, x = model.sample(N, seed + 1)
    found = score_coordinates(z[:, None], x[:, :, None], x[:, :, None]).rs
    assert found.value == pytest.approx(model.rs(Protocol().floor, Protocol().token_floor), abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_tokens_that_know_nothing_of_the_image(seed: int) -> None:
    found = redundancy_score(white(N, 16, 8, 100 + seed), patches=white(N, 8, 8, seed))
    assert found.rs.value is None
    assert found.rs.interval is None
    assert "low_information" in found.rs.flags
    assert found.n_eff.value is None
    assert found.delta_rs.value is None
    assert found.discarded.value == pytest.approx(1, abs=0.01)


def test_synergy() -> None:
    """Z1 = X + η tells little, Z2 = η nothing, both together all."""
    pixels, noise = white(N, 1, 8, 0), white(N, 1, 8, 7)
    found = redundancy_score(np.concatenate([pixels + noise, noise], axis=1), patches=pixels).rs
    assert found.value is not None
    assert found.value < -1
    assert "synergy" in found.flags


def test_order_of_tokens(mixed, mixed_rs: float) -> None:
    tokens, pixels = mixed
    shuffled = tokens[:, np.random.default_rng(0).permutation(12)]
    assert rs(shuffled, pixels) == pytest.approx(mixed_rs, abs=0.01)


def test_invertible_linear_map_of_each_token(mixed, mixed_rs: float) -> None:
    tokens, pixels = mixed
    maps = np.random.default_rng(1).standard_normal((12, 8, 8))
    assert rs(np.einsum("nmr,mrs->nms", tokens, maps), pixels) == pytest.approx(mixed_rs, abs=0.01)


@pytest.mark.parametrize("monotone", [lambda x: x**3, np.exp, lambda x: np.sign(x) * np.abs(x) ** 0.2])
def test_monotone_map_of_each_coordinate(mixed, mixed_rs: float, monotone) -> None:
    tokens, pixels = mixed
    assert rs(monotone(tokens), pixels) == pytest.approx(mixed_rs, abs=0.01)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_global_scale(mixed, mixed_rs: float, scale: float) -> None:
    tokens, pixels = mixed
    assert rs(tokens * scale, pixels / scale) == pytest.approx(mixed_rs, abs=0.01)


@pytest.mark.parametrize("dead", ["constant", "noise"])
@pytest.mark.parametrize("width", [8, 24])
def test_dead_tokens(mixed, mixed_rs: float, dead: str, width: int) -> None:
    tokens, pixels = mixed
    generator = np.random.default_rng(2)
    tokens = tokens @ np.linalg.qr(generator.standard_normal((width, 8)))[0].T
    more = np.full((N, 4, width), 3.0) if dead == "constant" else generator.standard_normal((N, 4, width)) / 3
    assert rs(np.concatenate([tokens, more], axis=1), pixels) == pytest.approx(mixed_rs, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_300_images_say_what_4000_say(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.standard_normal((4000, 4, 8))
    tokens = pixels.reshape(4000, -1) @ generator.standard_normal((32, 72)) / 6
    tokens = (tokens + 0.5 * generator.standard_normal((4000, 72))).reshape(4000, 9, 8)
    assert rs(tokens[:300], pixels[:300]) == pytest.approx(rs(tokens, pixels), abs=0.02)


def weak(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """400 images of 200 dimensions; four noisy views of 8 of them."""
    generator = np.random.default_rng(seed)
    pixels = generator.standard_normal((400, 25, 8))
    tokens = np.stack([pixels[:, 0] + generator.standard_normal((400, 8)) for _ in range(4)], axis=1)
    return tokens, pixels


def rs_of_weak_signal() -> float:
    """In closed form."""
    floor = Protocol().floor

    def nats(views: int) -> float:
        return 4 * float(np.log((1 + floor) / (1 + floor - views / (views + 1))))

    return 1 - nats(4) / (4 * nats(1))


def test_weak_signal_among_irrelevant_pixels() -> None:
    """One set of so few varies by 0.033 (SD); the mean of ten shows a bias, and the intervals hold the truth."""
    truth, sets = rs_of_weak_signal(), [weak(seed) for seed in range(10)]
    scores = [redundancy_score(z, patches=x, protocol=Protocol(r_x=200)).rs for z, x in sets]
    assert np.mean([score.value for score in scores]) == pytest.approx(truth, abs=0.02)
    assert sum(score.interval[0] <= truth <= score.interval[1] for score in scores) >= 8


def test_without_the_null_the_weak_signal_is_missed() -> None:
    """The mutation: the test above rests on the null, and without any correction RS is off by more than 0.1."""
    truth, (tokens, pixels) = rs_of_weak_signal(), weak(0)
    assert abs(rs(tokens, pixels, r_x=200, permutations=0) - truth) > 0.02
    assert rs(tokens, pixels, r_x=200, permutations=0, correction="none") < truth - 0.10


def test_interval_covers() -> None:
    """95 % intervals hold the truth for 90 to 99 of 100 seeds; docs/redundancy.md has larger cases."""
    model = GaussianModel.draw(seed=3, m=4, r=1, q=4, noise=0.5)
    truth, inside = model.rs(Protocol().floor, Protocol().token_floor), 0
    for seed in range(100):
        z, x = model.sample(300, seed)
        low, high = score_coordinates(z[:, None], x[:, :, None], x[:, :, None]).rs.interval
        inside += low <= truth <= high
    assert 90 <= inside <= 99
