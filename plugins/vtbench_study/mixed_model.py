"""A linear mixed model with nested random effects, by restricted maximum likelihood: arrays in, a slope out.

    y = X β + a[arm] + r[run] + e

a, r and e are independent and normal, so that checkpoints of one training run, and runs of one arm, do not count as
independent. It is Laird and Ware's model (Biometrics 38:963, 1982). It is fitted here and not by statsmodels' MixedLM,
to whose numbers a test holds it: MixedLM's normal intervals are too narrow for so few arms, and a study would need
three packages more for one function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import stdtr, stdtrit

STARTS = ((1.0, 0.3), (0.1, 1.0))
"""Square roots of the variance ratios of arm and run from which the fit starts."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The coefficient of the last column of X.

    Attributes:
        slope: its estimate.
        stderr: its standard error.
        df: degrees of freedom: arms less two, for the intercept and the slope, as a predictor that varies between arms
            alone would have.
        arm, run, residual: standard deviations of the random effects and of the rest.
        log_likelihood: restricted, up to a constant.
    """

    slope: float
    stderr: float
    df: float
    arm: float
    run: float
    residual: float
    log_likelihood: float

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval, Student's t."""
        half = self.stderr * float(stdtrit(self.df, 0.975))
        return self.slope - half, self.slope + half

    def p(self) -> float:
        """Return the two-sided p-value of a slope of 0."""
        return 2 * float(stdtr(self.df, -abs(self.slope) / self.stderr))


def fit_mixed_model(y: np.ndarray, X: np.ndarray, arms: Sequence[str], runs: Sequence[str]) -> Fit | None:
    """Fit the model.

    Args:
        y: (n,) outcomes.
        X: (n, p) fixed effects: an intercept, covariates, and last the predictor.
        arms: n names.
        runs: n names, each in one arm.

    Returns:
        None where there are fewer than four arms or no more rows than coefficients and two, or the predictor is
        constant or determined by the other columns.
    """
    n, p = X.shape
    n_arms = len(set(arms))
    if n_arms < 4 or n <= p + 2 or np.linalg.matrix_rank(X) < p or np.ptp(y) == 0:
        return None
    sums = _Sums.of(np.column_stack([X, y]), arms, runs)

    def solve(roots: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return -2 log restricted likelihood, β, its covariance and σ² at roots of the variance ratios."""
        products, log_det = sums.whitened(roots[0] ** 2, roots[1] ** 2)
        information, moment = products[:p, :p], products[:p, p]
        beta = np.linalg.solve(information, moment)
        variance = max(float(products[p, p] - moment @ beta) / (n - p), np.finfo(float).tiny)
        deviance = log_det + np.linalg.slogdet(information)[1] + (n - p) * math.log(variance)
        return float(deviance), beta, variance * np.linalg.inv(information), variance

    found = min(
        (minimize(lambda roots: solve(roots)[0], start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7})
         for start in STARTS),
        key=lambda result: result.fun,
    )  # fmt: skip
    deviance, beta, covariance, variance = solve(found.x)
    arm, run = (float(abs(root)) * math.sqrt(variance) for root in found.x)
    stderr = float(np.sqrt(covariance[-1, -1]))
    return Fit(float(beta[-1]), stderr, n_arms - 2.0, arm, run, math.sqrt(variance), -deviance / 2)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the likelihood needs of the columns of [X, y].

    Attributes:
        products: (c, c) cross products of the columns.
        of_run: (R, c) sums over the rows of each run.
        rows: (R,) numbers of these rows.
        arm_of_run: (A, R) 1 where a run is in an arm.
    """

    products: np.ndarray
    of_run: np.ndarray
    rows: np.ndarray
    arm_of_run: np.ndarray

    @classmethod
    def of(cls, columns: np.ndarray, arms: Sequence[str], runs: Sequence[str]) -> _Sums:
        names, run = np.unique(runs, return_inverse=True)
        in_run = (np.arange(len(names))[:, None] == run[None, :]).astype(float)
        home = dict(zip(runs, arms, strict=True))
        arm_of_run = np.array([[home[name] == arm for name in names] for arm in dict.fromkeys(arms)], float)
        return cls(columns.T @ columns, in_run @ columns, in_run.sum(axis=1), arm_of_run)

    def whitened(self, arm: float, run: float) -> tuple[np.ndarray, float]:
        """Return the cross products under V⁻¹, and log det V, for V = 1 + arm ZₐZₐᵀ + run ZᵣZᵣᵀ.

        By the Sherman-Morrison formula, first for each run and then for each arm: V itself is never formed.
        """
        spread = 1 + self.rows * run
        of_arm = self.arm_of_run @ (self.of_run / spread[:, None])
        weight = 1 + arm * (self.arm_of_run @ (self.rows / spread))
        products = (
            self.products
            - (self.of_run * (run / spread)[:, None]).T @ self.of_run
            - (of_arm * (arm / weight)[:, None]).T @ of_arm
        )
        return products, float(np.log(spread).sum() + np.log(weight).sum())
