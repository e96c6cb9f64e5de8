"""Factories of the host's own token budgets, and of the metrics of them, by name.

A factory's parameters are the settings that `--budget NAME:setting=value` takes. It imports its budget when called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from vtbench.errors import VtbenchError, nearest

if TYPE_CHECKING:
    from vtbench.budget import Budget
    from vtbench.budgets.amount import Amount
    from vtbench.metric import Metric


def random(k: int | None = None, f: float | None = None, mean: float | None = None, seed: int = 0) -> Budget:
    """Tokens drawn uniformly, by the seed and the sample's id: k=COUNT, f=FRACTION or mean=COUNT, seed=0."""
    from vtbench.budgets.places import RandomKeep

    if not isinstance(seed, int) or isinstance(seed, bool):
        raise VtbenchError(f"seed must be a whole number, not {seed!r}")
    return RandomKeep(_amount(k, f, mean), seed)


def grid(k: int | None = None, f: float | None = None, mean: float | None = None) -> Budget:
    """Tokens spread evenly over the picture: k=COUNT, f=FRACTION or mean=COUNT."""
    from vtbench.budgets.places import GridKeep

    return GridKeep(_amount(k, f, mean))


def downsample(k: int | None = None, f: float | None = None, mean: float | None = None) -> Budget:
    """Means of the cells of a grid, a coarser picture: k=COUNT, f=FRACTION or mean=COUNT."""
    from vtbench.budgets.places import DownSample

    return DownSample(_amount(k, f, mean))


def saliency(p: float, by: str = "distance") -> Budget:
    """The fewest tokens that hold the share p of all energy: p=0.9, by=distance (to the mean token) or norm."""
    from vtbench.budgets.amount import number
    from vtbench.budgets.saliency import Saliency

    return Saliency(number("p", p, 0, 1), _one_of("by", by, ("distance", "norm")))


def spread(k: int | None = None, f: float | None = None, mean: float | None = None) -> Budget:
    """Tokens as unlike each other as can be, by farthest points: k=COUNT, f=FRACTION or mean=COUNT."""
    from vtbench.budgets.spread import Spread

    return Spread(_amount(k, f, mean))


def merge(t: float) -> Budget:
    """Near-copies averaged into one, where any two have a cosine of at least t: t=0.9."""
    from vtbench.budgets.amount import number
    from vtbench.budgets.merging import Merge

    return Merge(number("t", t, -1, 1))


def complexity(mean: float | None = None, f: float | None = None, by: str = "cosine", keep: str = "spread") -> Budget:
    """More tokens for a busy picture: mean=COUNT or f=FRACTION, by=cosine or rank, keep=spread, grid or random."""
    from vtbench.budgets import complexity as home
    from vtbench.budgets.amount import Amount, number

    detector: home.By = _one_of("by", by, get_args(home.By))
    chooser: home.Keep = _one_of("keep", keep, get_args(home.Keep))
    if mean is None and f is None:
        return home.Complexity(1.0, detector, chooser)
    if mean is not None:
        number("mean", mean, 1)
    return home.ComplexityAtMean(Amount(mean=mean, fraction=f), detector, chooser)


def budget_cost() -> Metric:
    """Visual tokens that the decoder read (tokens_kept), and what its answers took (prefill_ms, decode_ms)."""
    from vtbench.budgets.cost import BudgetCost

    return BudgetCost()


def budget_frontier() -> Metric:
    """Accuracy against tokens kept, of token budgets beside random and grid at the same mean count."""
    from vtbench.budgets.frontier import Frontier

    return Frontier()


def _amount(k: int | None, f: float | None, mean: float | None) -> Amount:
    from vtbench.budgets.amount import Amount

    return Amount(count=k, fraction=f, mean=mean)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise VtbenchError(f"{name} has no {value!r}.{nearest(str(value), list(allowed))}")
    return value


BUDGETS: Mapping[str, Callable[..., Budget]] = {
    "complexity": complexity,
    "downsample": downsample,
    "grid": grid,
    "merge": merge,
    "random": random,
    "saliency": saliency,
    "spread": spread,
}
METRICS: Mapping[str, Callable[[], Metric]] = {"budget_cost": budget_cost, "budget_frontier": budget_frontier}
