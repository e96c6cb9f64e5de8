"""The frontier of a run: accuracy under each token budget, beside random and grid at the same mean count of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vtbench.budget import Budget
from vtbench.engine.budget_fitter import FIT_SAMPLES, BudgetFitter
from vtbench.errors import AdapterError
from vtbench.metric import Batch
from vtbench.scoring.credit import credit
from vtbench.types import Capability, Observation, Output, Record, Sample, Score
from vtbench_budgets.cost import cost
from vtbench_budgets.frontier_points import RIVALS, Point, curve
from vtbench_budgets.positional import GridKeep
from vtbench_budgets.token_count import TokenCount

if TYPE_CHECKING:
    from vtbench.registry import Registry

POLICIES = (
    "saliency:p=0.5", "saliency:p=0.9", "farthest_point:f=0.1", "farthest_point:f=0.25", "merge:t=0.7", "merge:t=0.9",
    "complexity:f=0.1", "complexity:f=0.25", "downsample:f=0.25",
)  # fmt: skip
"""What is swept where nothing is named."""


class Frontier:
    """Accuracy against visual tokens kept, under token budgets.

    The mean count of each budget is taken over a task's first images, and random and grid keep as many on average, of
    every image alike. An observation holds credit, tokens and seconds of the whole image, of none, and under each
    budget and its rivals.

    Args:
        policies: budgets as `--budget` takes them.
        registry: where they are from.

    Raises:
        VtbenchError: one of the budgets is none.
    """

    needs: frozenset[Capability] = frozenset({"generate", "budget", "visual_tokens"})
    fit_samples = FIT_SAMPLES
    layers: tuple[str, ...] = BudgetFitter.layers

    def __init__(self, policies: Sequence[str], registry: Registry) -> None:
        self._policies = tuple(dict.fromkeys(policies))
        self._fitter = BudgetFitter({policy: registry.budget(policy) for policy in self._policies})
        self.budgets: Mapping[str, Budget] = {"none": GridKeep(TokenCount(count=0)), **self._fitter.budgets}

    def partial_fit(self, batch: Batch) -> None:
        """Count what each budget gives a task's first images."""
        self._fitter.partial_fit(batch)

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the counts, or what a fitted budget measured."""
        return self._fitter.state()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Set each budget's rivals to its mean count."""
        self._fitter.load_state(state)
        rivals = {
            f"{policy} {name}": rival(averaging(self._fitter.means[policy]))
            for policy in self._policies
            for name, rival in RIVALS.items()
        }
        self.budgets = {"none": GridKeep(TokenCount(count=0)), **self._fitter.budgets, **rivals}

    def observe(self, batch: Batch) -> list[Observation]:
        """Score each sample's answers.

        Raises:
            AdapterError: the model does not say how many visual tokens it read.
        """
        return [
            {
                "all": _seen(sample, whole),
                **{name: _seen(sample, outputs[i]) for name, outputs in batch.budgeted.items()},
            }
            for i, (sample, whole) in enumerate(zip(batch.samples, batch.outputs, strict=True))
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return mean credit with `all` tokens, with `none` and under each budget, as `frontier.NAME`.

        Flags say where a budget is `above_random`, `below_random`, `above_grid` or `below_grid`, by the 95 % interval
        of the paired difference, which is in the details. `detail["curve"]` of `frontier.all` has a point for every
        budget and rival, by policy; those of no token and of all of them belong to `any`.
        """
        if not observations:
            return {f"frontier.{name}": Score(None) for name in ("all", "none", *self._policies)}
        clusters = [record.cluster for record in records]
        points = {name: Point.of([o[name] for o in observations], clusters) for name in observations[0]}
        found = {}
        for name in ("all", "none", *_policies(observations[0])):
            rivals = {rival: points[f"{name} {rival}"] for rival in RIVALS if f"{name} {rival}" in points}
            apart = {rival: points[name].over(point, clusters) for rival, point in rivals.items()}
            found[f"frontier.{name}"] = points[name].score(apart)
        whole = found["frontier.all"]
        return found | {"frontier.all": replace(whole, detail={**whole.detail, "curve": list(curve(points))})}


def averaging(mean: float) -> TokenCount:
    """Return the amount of this mean, to a tenth of a token; whole ones are counts, so that equal budgets are one.

    >>> averaging(15.98), averaging(7.83)
    (TokenCount(fraction=None, count=16, mean=None), TokenCount(fraction=None, count=None, mean=7.8))
    """
    tenth = round(mean, 1)
    return TokenCount(count=int(tenth)) if tenth == int(tenth) else TokenCount(mean=tenth)


def _seen(sample: Sample, output: Output) -> dict[str, Any]:
    if output.visual_tokens_in is None:
        raise AdapterError("metric budget_frontier: the model does not say how many visual tokens it read")
    return {"credit": credit(output.text, sample), **cost(output)}


def _policies(observation: Observation) -> Iterator[str]:
    """Yield the budgets that an observation names beside their rivals; a rescoring knows them from there alone."""
    for name in observation:
        if all(f"{name} {rival}" in observation for rival in RIVALS):
            yield name
