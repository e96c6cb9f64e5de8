"""What `rs-v2` must say of tokens with more dimensions than it keeps, whose basis comes from other images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench_redundancy import Protocol, redundancy_score

torch.set_num_threads(1)
N = 2000


@pytest.fixture(scope="module")
def wide() -> tuple[np.ndarray, np.ndarray]:
    """Twelve noisy, overlapping tokens of eight patches, in 32 dimensions."""
    pixels, generator = white(N, 8, 8, 4), np.random.default_rng(5)
    tokens = pixels.reshape(N, -1) @ generator.standard_normal((64, 96)) / 8
    tokens = (tokens + 0.5 * generator.standard_normal((N, 96))).reshape(N, 12, 8)
    return tokens @ np.linalg.qr(generator.standard_normal((32, 8)))[0].T, pixels


def test_invertible_maps_and_scaled_axes_change_nothing(wide) -> None:
    tokens, pixels = wide
    generator = np.random.default_rng(0)
    tokens = tokens + 0.01 * generator.standard_normal(tokens.shape)  # else the map of the other 24 is rounding
    known = redundancy_score(tokens, patches=pixels).rs.value
    for change in (generator.standard_normal((32, 32)), np.diag(np.exp(generator.standard_normal(32)))):
        assert redundancy_score(tokens @ change, patches=pixels).rs.value == pytest.approx(known, abs=0.002)


@pytest.mark.parametrize("width", [8, 160])
@pytest.mark.parametrize("seed", range(3))
def test_tokens_that_know_nothing(seed: int, width: int) -> None:
    """As the basis is not fitted on the images that are scored, it finds no information where there is none."""
    found = redundancy_score(white(N, 16, width, 1000 + seed), patches=white(N, 8, 8, seed)).rs
    assert (found.value, "low_information" in found.flags) == (None, True)


def lossless(side: int, pixels: int, noise: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of all pixels of images of two flat colours with an edge somewhere, which are far from Gaussian.

    Args:
        side: tokens a side.
        pixels: a side of the images.
        noise: cells a side of which each has noise of its own.
    """
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:pixels, 0:pixels] / pixels - 0.5
    angle, offset = generator.uniform(0, np.pi, N), generator.uniform(-0.5, 0.5, N)
    inside = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y > offset[:, None, None]
    first, second = generator.uniform(0, 255, (2, N, 1, 1, 3))
    fine = generator.normal(0, 20, (N, noise, noise, 3)).repeat(pixels // noise, 1).repeat(pixels // noise, 2)
    images = np.where(inside[..., None], first, second) + fine
    size = pixels // side
    tokens = images.reshape(N, side, size, side, size, 3).transpose(0, 1, 3, 2, 4, 5).reshape(N, side**2, -1)
    return tokens.astype(np.float32), images.astype(np.float32)


ONE = Protocol(subsets=1, permutations=2)
"""`discarded` is of all tokens, however often RS chooses 64 of them."""


@pytest.mark.parametrize("side", [8, 16, 24])
def test_lossless_tokens_discard_nothing(side: int) -> None:
    tokens, images = lossless(side, 48, noise=6)
    found = redundancy_score(tokens, images, protocol=ONE)
    assert found.rs.detail["d"] > found.rs.detail["r"]
    assert found.discarded.value == pytest.approx(0, abs=0.01)
    assert "across_cells" not in found.discarded.flags


@pytest.mark.parametrize(("side", "pixels", "lost"), [(12, 48, 0.066), (14, 56, 0.078)])
def test_tokens_across_the_edges_of_cells_are_flagged(side: int, pixels: int, lost: float) -> None:
    """Averages by cell mix neighbours (docs/redundancy.md has the values); by the cells of centres it is more."""
    found = redundancy_score(*lossless(side, pixels, noise=8), protocol=ONE)
    assert found.discarded.value == pytest.approx(lost, abs=0.01)
    assert "across_cells" in found.discarded.flags
    assert "across_cells" not in found.rs.flags


def test_copies_leave_what_16_tokens_carry() -> None:
    """Of all tokens twice, 16 random ones carry less than of all once only by the copies that are drawn."""
    pixels = white(N, 64, 3, 1)
    tokens = pixels @ np.linalg.qr(np.random.default_rng(2).standard_normal((12, 3)))[0].T.astype(np.float32)
    once = redundancy_score(tokens[:, :32], patches=pixels, protocol=Protocol(permutations=2))
    twice = redundancy_score(copies(tokens[:, :32], 2), patches=pixels, protocol=Protocol(permutations=2))
    assert once.n_eff_16.value == pytest.approx(16, abs=0.3)
    assert twice.rs.value == pytest.approx(0.5, abs=0.01)
    assert twice.n_eff_16.value > 14  # of 16 of 64, 3.8 pairs are expected at most


@pytest.mark.parametrize("times", [2, 4])
def test_a_dose_of_noisy_copies_has_its_closed_form(times: int) -> None:
    """Every token `times` over, each copy with noise of its own."""
    pixels, spread = white(N, 8, 3, 3), 0.3
    tokens = copies(pixels, times) + spread * white(N, 8 * times, 3, 7)
    code = np.linalg.qr(np.random.default_rng(4).standard_normal((24, 3)))[0].T
    found = redundancy_score(tokens @ code, patches=pixels).rs.value
    noise = spread**2 + 1e-3 * (1 + spread**2)

    def nats(views: int) -> float:
        return float(np.log(1.01 / (1.01 - 1 / (1 + noise / views))))

    assert found == pytest.approx(1 - nats(times) / (times * nats(1)), abs=0.01)
