"""A known dose of redundancy: what copies and noise do to the score, to its ground truth and to accuracy."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from vtbench.errors import VtbenchError
from vtbench_redundancy import Protocol, redundancy_score
from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.scores.duplication import Duplication, accuracy_of_copies

PLACES, Q, N = 8, 16, 2000
PROTOCOL = Protocol(m=64, r=1, r_x=Q)


@pytest.fixture(scope="module")
def base() -> GaussianModel:
    """Tokens of one coordinate and variance 1, without noise."""
    model = GaussianModel.draw(seed=3, m=PLACES, r=1, q=Q, noise=0.0)
    variance = np.einsum("ip,pq,iq->i", model.map_Mq, model.pixels_qq, model.map_Mq)
    return replace(model, map_Mq=model.map_Mq / np.sqrt(variance)[:, None])


@pytest.mark.parametrize(("copies", "noise"), [(1, 0.0), (2, 0.0), (4, 0.0), (1, 0.5), (3, 0.5)])
def test_prediction_truth_and_estimate_agree(base: GaussianModel, copies: int, noise: float) -> None:
    z, x = base.sample(N, seed=1)
    patches = x.reshape(N, Q // 4, 4).astype(np.float32)
    predicted = Duplication(z, patches, PROTOCOL).predict(copies, noise)
    dose = replace(base, map_Mq=np.repeat(base.map_Mq, copies, axis=0), noise=noise**0.5, m=copies * PLACES)
    true = dose.rs(PROTOCOL.floor, PROTOCOL.token_floor)
    own = np.random.default_rng(2).standard_normal((N, copies * PLACES, 1)) * noise**0.5
    measured = redundancy_score(np.repeat(z, copies, axis=1) + own, patches=patches, protocol=PROTOCOL)
    assert predicted.rs == pytest.approx(true, abs=0.01)
    assert measured.rs.value == pytest.approx(predicted.rs, abs=0.01)
    if copies * PLACES >= 16:
        assert measured.n_eff_16.value == pytest.approx(predicted.n_eff_16, rel=0.02)


def test_copies_without_noise_divide_what_is_distinct(base: GaussianModel) -> None:
    z, x = replace(base, noise=0.5).sample(N, seed=1)  # without, copies average the token floor out
    duplication = Duplication(z, x.reshape(N, Q // 4, 4), PROTOCOL)
    alone, copied = duplication.predict(1, 0.0), duplication.predict(5, 0.0)
    assert copied.rs == pytest.approx(1 - (1 - alone.rs) / 5, abs=0.001)
    assert alone.n_eff_16 is None  # of eight tokens


def test_too_few_images(base: GaussianModel) -> None:
    z, x = base.sample(40, seed=1)
    with pytest.raises(VtbenchError, match="40 images needs 54"):
        Duplication(z, x.reshape(40, Q // 4, 4), PROTOCOL)


def test_noise_lowers_redundancy_and_information(base: GaussianModel) -> None:
    z, x = base.sample(N, seed=1)
    duplication = Duplication(z, x.reshape(N, Q // 4, 4), PROTOCOL)
    quiet, loud = duplication.predict(4, 0.0), duplication.predict(4, 1.0)
    assert loud.rs < quiet.rs - 0.05
    assert loud.joint < quiet.joint


@pytest.mark.parametrize("kept", [0, 1, 3, 6])
def test_accuracy_depends_on_the_number_of_different_tokens(kept: int) -> None:
    accuracy = [0.1, 0.5, 0.6, 0.9]
    choices = list(combinations([place for place in range(3) for _ in range(2)], kept))
    expected = np.mean([accuracy[len(set(choice))] for choice in choices])
    assert accuracy_of_copies(accuracy, copies=2, kept=kept) == pytest.approx(expected)
