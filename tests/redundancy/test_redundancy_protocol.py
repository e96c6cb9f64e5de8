"""What the parts of the protocol are there for: with each the truth is found, without it it is not.

The null's own case, a weak signal among irrelevant pixels, is in integration/truth/test_redundancy_ground_truth.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vtbench.types import Score
from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.protocol import PROTOCOLS, Protocol
from vtbench_redundancy.scores.redundancy_score import score_coordinates

torch.set_num_threads(1)


def rs(tokens: np.ndarray, pixels: np.ndarray, clusters: list[str] | None = None, **settings) -> Score:
    """By `rs-v1` with some settings changed: what cross-validation is there for."""
    protocol = replace(PROTOCOLS["rs-v1"], **settings)
    return score_coordinates(tokens[:, None], None, pixels[:, :, None], protocol, clusters).rs


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Score, Score]]:
    """RS of 512 images that are 256 twice over, as a minimal pair nearly is: clustered, and each image its own.

    128 token coordinates: a quarter of the images, half of what is really observed.
    """
    model, names, found = GaussianModel.draw(seed=1, m=16, r=8, q=32, noise=1.0), [str(i // 2) for i in range(512)], []
    for seed in range(4):
        tokens, pixels = (np.repeat(array, 2, axis=0) for array in model.sample(256, seed))
        found.append((rs(tokens, pixels, names), rs(tokens, pixels)))
    return found


TRUTH = GaussianModel.draw(seed=1, m=16, r=8, q=32, noise=1.0).rs(Protocol().floor)


def test_images_of_one_scene_stay_together_under_the_null(pairs) -> None:
    assert [found.value for found, _ in pairs] == pytest.approx([TRUTH] * 4, abs=0.02)
    assert np.mean([found.value for found, _ in pairs]) == pytest.approx(TRUTH, abs=0.01)


def test_images_of_one_scene_that_are_parted_hide_the_bias(pairs) -> None:
    """The mutation: a null of 512 images has half the bias that 256 scenes have."""
    assert max(found.value for _, found in pairs) < TRUTH - 0.05
    assert not any(found.interval[0] <= TRUTH <= found.interval[1] for _, found in pairs)


def test_images_of_one_scene_make_the_interval_wider(pairs) -> None:
    assert np.mean([together.stderr / parted.stderr for together, parted in pairs]) > 1.2


@pytest.fixture(scope="module")
def loud() -> dict[bool, float]:
    """Mean error of RS, cross-validated or not, where a few images are loud in tokens, pixels and noise alike.

    Those have the leverage, and are predicted worst: a Gaussian model times a log-normal factor for each image. There
    is no closed form; the truth is RS of 12,000 images, on which both agree.
    """
    model = GaussianModel.draw(seed=1, m=8, r=4, q=16, noise=0.5)

    def measure(n: int, seed: int, crossed: bool) -> float:
        tokens, pixels = model.sample(n, seed)
        loudness = np.exp(np.random.default_rng(1000 + seed).standard_normal(n))[:, None]
        value = rs(tokens * loudness[:, None], pixels * loudness, correction="crossed" if crossed else "none").value
        assert value is not None
        return value

    truths = [measure(12_000, seed, crossed) for seed in range(2) for crossed in (True, False)]
    assert np.ptp(truths) < 0.01
    truth = np.mean(truths)
    return {crossed: np.mean([measure(400, s, crossed) - truth for s in range(12)]) for crossed in (True, False)}


def test_cross_validation_sees_that_loud_images_are_predicted_worst(loud) -> None:
    """12 sets of images with a standard deviation of 0.011."""
    assert loud[True] == pytest.approx(0, abs=0.01)


def test_without_cross_validation_loud_images_bring_the_score_down(loud) -> None:
    """The mutation."""
    assert loud[False] < -0.01
    assert loud[False] < loud[True] - 0.01
