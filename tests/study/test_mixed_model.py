"""The mixed model: its numbers are statsmodels', its intervals hold the truth, and pseudo-replicates do not count."""

from __future__ import annotations

import numpy as np
import pytest

from vtbench_study.mixed_model import fit_mixed_model

ARMS, RUNS, KEPT = 8, 4, 3
ARM = np.repeat(np.arange(ARMS), RUNS * KEPT)
RUN = np.repeat(np.arange(ARMS * RUNS), KEPT)
STEP = np.tile([-2.0, -1.0, 0.0], ARMS * RUNS)


def fit(y: np.ndarray, x: np.ndarray):
    return fit_mixed_model(y, np.column_stack([np.ones(len(y)), STEP, x]), ARM.astype(str), RUN.astype(str))


def effects(rng: np.random.Generator, arm: float, run: float, rest: float) -> np.ndarray:
    normal = rng.standard_normal
    return arm * normal(ARMS)[ARM] + run * normal(ARMS * RUNS)[RUN] + rest * normal(len(ARM))


def test_its_numbers_are_those_of_statsmodels() -> None:
    """Those of statsmodels 0.15.0: `mixedlm("y ~ step + x", groups=arm, vc_formula={"run": "0+C(run)"})`, by REML."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal(8)[ARM] + rng.standard_normal(96)
    y = 0.5 * x + 0.3 * STEP + rng.standard_normal(8)[ARM] + 0.6 * rng.standard_normal(32)[RUN]
    found = fit(y + 0.4 * rng.standard_normal(96), x)
    assert found.slope == pytest.approx(0.5575361, abs=1e-4)
    assert found.stderr == pytest.approx(0.0667638, rel=2e-3)
    deviations = (found.arm, found.run, found.residual)
    assert deviations == pytest.approx((1.2398675, 0.4483053, 0.4613857), rel=1e-3)


@pytest.mark.parametrize("slope", [0.0, 0.5])
@pytest.mark.parametrize("predictor", [(1.0, 0.3, 0.3), (0.2, 0.2, 1.0)], ids=["between arms", "within runs"])
def test_intervals_hold_the_truth_wherever_the_predictor_varies(slope: float, predictor) -> None:
    rng, held = np.random.default_rng(3), []
    for _ in range(20):
        x = effects(rng, *predictor)
        low, high = fit(slope * x + 0.3 * STEP + effects(rng, 1.0, 0.3, 0.4), x).interval()
        held.append(low <= slope <= high)
    assert np.mean(held) >= 0.85


def test_arms_that_differ_in_both_numbers_by_chance_are_no_association() -> None:
    rng, naive, mixed = np.random.default_rng(4), [], []
    for _ in range(20):
        x, y = effects(rng, 1.0, 0.0, 0.1), effects(rng, 1.0, 0.0, 0.1)
        naive.append(abs(np.corrcoef(x, y)[0, 1]) > 0.2)  # p < 0.05, were the 96 rows independent
        mixed.append(fit(y, x).p() < 0.05)
    assert np.mean(naive) > 0.4
    assert np.mean(mixed) < 0.15


def test_what_cannot_be_fitted_has_no_fit() -> None:
    y = np.random.default_rng(0).standard_normal(96)
    assert fit(y, np.ones(96)) is None
    assert fit(np.ones(96), y) is None
    X = np.column_stack([np.ones(96), y])
    assert fit_mixed_model(y, X, ["one"] * 96, RUN.astype(str)) is None
    assert fit_mixed_model(y[:4], X[:4], list("abcd"), list("abcd")) is None
