"""Whether an estimate can be trusted: does it converge over half-samples, is it above its noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench.stats import Estimate, jackknife_stderr

if TYPE_CHECKING:
    from torch import Tensor


def unconverged(found: Estimate, half: float | None) -> bool:
    """Whether an estimate differs from the mean of the same estimate on both halves by over 2 standard errors.

    The mean over two halves has the larger bias of a sample of half the size, but hardly more noise than the estimate
    from all data, so the difference shows bias.

    Args:
        found: the estimate from all data, with its standard error.
        half: the mean of the estimates from two disjoint halves; None where the halves are too small, which counts as
            unconverged.
    """
    if half is None or found.value is None or found.stderr is None:
        return True
    return abs(half - found.value) > 2 * found.stderr


def below_noise(values_T: Tensor, groups: int, null_spread: float = 0.0) -> bool:
    """Whether an estimate is under 3 standard errors, by the jackknife or by its spread under a null, if larger.

    Args:
        values_T: (T,) the estimate from all data, then the jackknife's replicates; what follows is ignored.
        groups: number of replicates.
        null_spread: standard deviation of the estimate under the null.
    """
    return float(values_T[0]) < 3 * max(jackknife_stderr(values_T[1 : groups + 1].tolist()), null_spread)
