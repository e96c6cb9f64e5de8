r"""Fits a psychometric curve: the offset that a model needs to tell the order of two objects.

    P(positive | x) = lapse + (1 - 2 lapse) * Phi((x - bias) / spread)

x is the signed offset in % of the canvas. `threshold` is half the distance between the offsets at which the curve
passes 25 % and 75 %; without bias, this is the offset with 75 % right answers. It separates sensitivity from a
preference for one answer, which moves `bias` only. Wichmann and Hill, Perception & Psychophysics 63 (2001), with a
symmetric lapse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import gammaincinv, ndtr, ndtri

from vtbench.stats import Estimate

MAX_LAPSE = 0.2
"""Above 0.25 a curve never reaches 75 %."""
DEVIANCE_95 = float(2 * gammaincinv(0.5, 0.95))
"""95 % quantile of chi-squared with one degree of freedom."""
SEEN_DEVIANCE = float(2 * gammaincinv(0.5, 0.99))
"""Minimal reduction of the deviance against a constant answer; below it, no threshold is reported."""


@dataclass(frozen=True, slots=True)
class PsychometricFit:
    """A fitted curve; offsets in % of the canvas."""

    threshold: Estimate
    """Without a value if the answers do not determine it, and flagged with the reason: `no_slope` (answers do not
    depend on the offset), `below_range` (the threshold is below the smallest offset), `above_range` (above the
    largest). The 95 % interval is by profile likelihood; an end that the answers do not bound is the end of the
    searched range."""
    bias: float | None = None
    lapse: float | None = None


@dataclass(frozen=True, slots=True)
class _Tally:
    """Answers by offset."""

    x: np.ndarray
    positive: np.ndarray
    asked: np.ndarray

    def deviance(self, threshold: float, bias: np.ndarray, lapse: np.ndarray) -> np.ndarray:
        """Return -2 log likelihood (without the binomial constant), for biases and lapses of one shape."""
        slope = ndtri((0.75 - lapse) / (1 - 2 * lapse)) / threshold
        p = lapse[..., None] + (1 - 2 * lapse[..., None]) * ndtr((self.x - bias[..., None]) * slope[..., None])
        p = np.clip(p, 1e-9, 1 - 1e-9)
        log_p: np.ndarray = self.positive * np.log(p) + (self.asked - self.positive) * np.log1p(-p)
        return -2 * log_p.sum(-1)

    def constant_deviance(self) -> float:
        """Return -2 log likelihood of the best answer that ignores the offset."""
        p = np.clip(self.positive.sum() / self.asked.sum(), 1e-9, 1 - 1e-9)
        yes, no = self.positive.sum(), (self.asked - self.positive).sum()
        return float(-2 * (yes * np.log(p) + no * np.log1p(-p)))

    def profile(self, threshold: float) -> tuple[float, float, float]:
        """Return the minimal deviance at a threshold, with its bias and lapse."""
        reach = float(np.abs(self.x).max())
        biases, lapses = np.meshgrid(np.linspace(-reach, reach, 65), np.linspace(0, MAX_LAPSE, 5))
        start = int(self.deviance(threshold, biases, lapses).argmin())
        best = minimize(
            lambda q: float(self.deviance(threshold, q[0], q[1])),
            (biases.flat[start], lapses.flat[start]),
            method="L-BFGS-B",
            bounds=[(-reach, reach), (0.0, MAX_LAPSE)],
        )
        return float(best.fun), float(best.x[0]), float(best.x[1])


def fit(offsets: Sequence[float], positive: Sequence[bool]) -> PsychometricFit:
    """Fit the curve by maximum likelihood.

    Args:
        offsets: one per answer, signed, in % of the canvas.
        positive: whether each answer is the right one for a positive offset. An unparsed answer is wrong: pass True at
            a negative offset and False at a positive one.
    """
    x, where = np.unique(np.asarray(offsets, dtype=float), return_inverse=True)
    tally = _Tally(x, np.bincount(where, weights=np.asarray(positive, dtype=float)), np.bincount(where).astype(float))
    magnitudes = np.abs(x[x != 0])
    if len(magnitudes) == 0 or x.min() == x.max():
        return PsychometricFit(Estimate(None, n=len(offsets), flags=("no_slope",)))
    low, high = float(magnitudes.min()), float(magnitudes.max())
    grid = np.geomspace(low / 8, high * 8, 25)
    deviances = [tally.profile(value)[0] for value in grid]
    at = int(np.argmin(deviances))
    ends = np.log([grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]])
    polished = minimize(
        lambda q: tally.profile(float(np.exp(q[0])))[0], [np.log(grid[at])], method="Nelder-Mead", bounds=[tuple(ends)]
    )
    threshold = float(np.exp(polished.x[0]))
    deviance, bias, lapse = tally.profile(threshold)
    if tally.constant_deviance() - deviance < SEEN_DEVIANCE:
        return PsychometricFit(Estimate(None, n=len(offsets), flags=("no_slope",)))
    interval = _interval(tally, threshold, deviance, (float(grid[0]), float(grid[-1])))
    found = Estimate(threshold, interval=interval, n=len(offsets))
    if threshold < low:
        found = replace(found, value=None, flags=("below_range",))
    if threshold > high:
        found = replace(found, value=None, flags=("above_range",))
    return PsychometricFit(found, bias, lapse)


def _interval(tally: _Tally, threshold: float, deviance: float, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the range of thresholds whose profile deviance exceeds the minimum by less than the 95 % quantile."""

    def excess(log_threshold: float) -> float:
        return tally.profile(float(np.exp(log_threshold)))[0] - deviance - DEVIANCE_95

    sides = []
    for end in ends:
        inside, outside = float(np.log(threshold)), float(np.log(end))
        found = outside if excess(outside) <= 0 else brentq(excess, inside, outside, xtol=1e-3)
        sides.append(float(np.exp(found)))
    return sides[0], sides[1]
