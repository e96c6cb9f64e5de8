"""Factories of the token budgets and of their metrics, by name.

A factory's parameters are the settings of `--budget NAME:setting=value`. It imports its budget when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from vtbench.errors import VtbenchError, nearest

if TYPE_CHECKING:
    from vtbench.budget import Budget
    from vtbench.metric import Metric
    from vtbench.registry import Registry
    from vtbench_budgets.token_count import TokenCount


def random(k: int | None = None, f: float | None = None, mean: float | None = None, seed: int = 0) -> Budget:
    """Tokens drawn uniformly, by the seed and the sample's id: k=COUNT, f=FRACTION or mean=COUNT, seed=0."""
    from vtbench_budgets.positional import RandomKeep

    if not isinstance(seed, int) or isinstance(seed, bool):
        raise VtbenchError(f"seed must be a whole number, not {seed!r}")
    return RandomKeep(_amount(k, f, mean), seed)


def grid(k: int | None = None, f: float | None = None, mean: float | None = None) -> Budget:
    """Tokens spread evenly over the image: k=COUNT, f=FRACTION or mean=COUNT."""
    from vtbench_budgets.positional import GridKeep

    return GridKeep(_amount(k, f, mean))


def downsample(k: int | None = None, f: float | None = None, mean: float | None = None) -> Budget:
    """Means of the cells of a grid, a coarser image: k=COUNT, f=FRACTION or mean=COUNT."""
    from vtbench_budgets.positional import DownSample

    return DownSample(_amount(k, f, mean))


def saliency(p: float, by: str = "distance") -> Budget:
    """The fewest tokens with a fraction p of the energy: p=0.9, by=distance (to the mean token) or norm."""
    from vtbench_budgets.saliency import Saliency
    from vtbench_budgets.token_count import number

    return Saliency(number("p", p, 0, 1), _one_of("by", by, ("distance", "norm")))


def farthest_point(k: int | None = None, f: float | None = None, mean: float | None = None) -> Budget:
    """Diverse tokens, by farthest-point traversal in cosine: k=COUNT, f=FRACTION or mean=COUNT."""
    from vtbench_budgets.farthest_point import FarthestPoint

    return FarthestPoint(_amount(k, f, mean))


def merge(t: float) -> Budget:
    """Similar tokens averaged into one, in groups whose cosines are all at least t: t=0.9."""
    from vtbench_budgets.merging import Merge
    from vtbench_budgets.token_count import number

    return Merge(number("t", t, -1, 1))


def complexity(
    mean: float | None = None, f: float | None = None, by: str = "cosine", keep: str = "farthest_point"
) -> Budget:
    """More tokens for a complex image: mean=COUNT or f=FRACTION, by=cosine|rank, keep=farthest_point|grid|random."""
    from vtbench_budgets import complexity as home
    from vtbench_budgets.token_count import TokenCount, number

    detector: home.By = _one_of("by", by, get_args(home.By))
    chooser: home.Keep = _one_of("keep", keep, get_args(home.Keep))
    if mean is None and f is None:
        return home.Complexity(1.0, detector, chooser)
    if mean is not None:
        number("mean", mean, 1)
    return home.ComplexityAtMean(TokenCount(mean=mean, fraction=f), detector, chooser)


def budget_cost() -> Metric:
    """Visual tokens that the decoder read (tokens_kept), and times of its answers (prefill_ms, decode_ms)."""
    from vtbench_budgets.cost import BudgetCost

    return BudgetCost()


def budget_frontier(policies: Sequence[str] | None = None, registry: Registry | None = None) -> Metric:
    """Accuracy against tokens kept, for token budgets and for random and grid at the same mean count."""
    from vtbench.registry import Registry
    from vtbench_budgets.frontier import POLICIES, Frontier

    chosen = POLICIES if policies is None else [policies] if isinstance(policies, str) else policies
    return Frontier(chosen, registry or Registry())


def _amount(k: int | None, f: float | None, mean: float | None) -> TokenCount:
    from vtbench_budgets.token_count import TokenCount

    return TokenCount(count=k, fraction=f, mean=mean)


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
    "divprune": farthest_point,
    "farthest_point": farthest_point,
}
METRICS: Mapping[str, Callable[..., Metric]] = {"budget_cost": budget_cost, "budget_frontier": budget_frontier}
