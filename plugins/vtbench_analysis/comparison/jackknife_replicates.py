"""Jackknife replicates of a run's scores; what the images contribute cancels in differences of two runs' replicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from vtbench.stats import Estimate, jackknife, t_test
from vtbench_redundancy.protocol import Protocol


@dataclass(frozen=True, slots=True)
class JackknifeReplicates:
    """Scores of one run's tokens or patches, over all images and with each group of images left out in turn."""

    values: Mapping[str, Tensor]
    """(1 + groups,) by score; over all images first."""
    flags: tuple[str, ...] = ()
    """Why there are no values, or what limits them."""


def value_of(replicates: JackknifeReplicates, name: str, protocol: Protocol) -> Estimate:
    """Return a run's score with its interval."""
    if name not in replicates.values:
        return Estimate(None, flags=replicates.flags)
    return replace(_estimate(replicates.values[name], protocol), flags=replicates.flags)


def difference_of(first: JackknifeReplicates, other: JackknifeReplicates, name: str, protocol: Protocol) -> Estimate:
    """Return how much a score of another run is above that of the first, with its test."""
    if name not in first.values or name not in other.values:
        return Estimate(None, flags=tuple(dict.fromkeys(first.flags + other.flags)))
    return t_test(_estimate(other.values[name] - first.values[name], protocol))


def comparable_difference(
    first: JackknifeReplicates,
    other: JackknifeReplicates,
    name: str,
    protocol: Protocol,
    *,
    one_protocol: bool,
    one_m: bool,
) -> Estimate:
    """Return `difference_of`, or a flag that says why the score of both runs does not compare.

    Args:
        first: the first run's.
        other: another run's.
        name: of the score.
        protocol: the first run's.
        one_protocol: whether both were measured by it, about the same target.
        one_m: whether the score is of equally many tokens in both, or does not depend on their number.
    """
    if not one_protocol:
        return Estimate(None, flags=("other_protocol",))
    return difference_of(first, other, name, protocol) if one_m else Estimate(None, flags=("other_m",))


def _estimate(values_T: Tensor, protocol: Protocol) -> Estimate:
    value, *replicates = values_T[: protocol.groups + 1].tolist()
    return jackknife(value, replicates, widen=protocol.widen)
