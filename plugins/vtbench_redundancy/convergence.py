"""Whether an estimate can be trusted: does it converge over parts of the images, is it above its noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench.stats import Estimate, jackknife_stderr

if TYPE_CHECKING:
    from torch import Tensor

SMALL_BIAS = 0.005
"""A bias of the corrected estimate that is below this, of its scale, is never flagged."""


def unconverged(found: Estimate, half: float | None) -> bool:
    """Whether an estimate differs from the mean of the same estimate on both halves by over 2 standard errors.

    The mean over two halves has the larger bias of a sample of half the size, but hardly more noise than the estimate
    from all data, so the difference shows bias. This is the rule of `rs-v1`: it tests the bias at n/2.

    Args:
        found: the estimate from all data, with its standard error.
        half: the mean of the estimates from two disjoint halves; None where the halves are too small, which counts as
            unconverged.
    """
    if half is None or found.value is None or found.stderr is None:
        return True
    return abs(half - found.value) > 2 * found.stderr


def bias_left(value: float, of_parts: float, part: float) -> float:
    """Return the bias that a corrected estimate still has, by the estimate from parts of the images.

    It falls as 1/n²: with b at all images it is b / part² at a part, so the two differ by b (1 / part² − 1).

    >>> round(bias_left(0.5 + 0.01, 0.5 + 4 * 0.01, 0.5), 4)
    0.01
    """
    return abs(of_parts - value) / (1 / part**2 - 1)


def corrected_unconverged(found: Estimate, of_parts: float | None, part: float, scale: float = 1.0) -> bool:
    """Whether `bias_left` of a corrected estimate is above its standard error and `SMALL_BIAS` of the scale.

    Args:
        found: the estimate from all images.
        of_parts: the mean of the estimates from parts of the images; None, where they are too few for parts, counts as
            unconverged.
        part: size of the parts as a fraction of the images.
        scale: 1 for a share; of an information, its value.
    """
    if of_parts is None or found.value is None or found.stderr is None:
        return True
    return bias_left(found.value, of_parts, part) > max(found.stderr, SMALL_BIAS * scale)


def below_noise(values_T: Tensor, groups: int, null_spread: float = 0.0) -> bool:
    """Whether an estimate is under 3 standard errors, by the jackknife or by its spread under a null, if larger.

    Args:
        values_T: (T,) the estimate from all data, then the jackknife's replicates; what follows is ignored.
        groups: number of replicates.
        null_spread: standard deviation of the estimate under the null.
    """
    return float(values_T[0]) < 3 * max(jackknife_stderr(values_T[1 : groups + 1].tolist()), null_spread)
