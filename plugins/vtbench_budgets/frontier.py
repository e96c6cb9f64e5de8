"""The metric `budget_frontier`: accuracy under each token budget, and under random and grid at the same mean count."""

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
"""The budgets that `--budget-sweep` compares by default."""


class Frontier:
    """Accuracy against visual tokens kept, under token budgets.

    The mean count of each budget is measured on a task's first images; its rivals, random and grid, keep that many
    tokens of every image. An observation has credit, tokens and times with all tokens, with none, under each budget and
    under its rivals.

    Args:
        policies: budgets as `--budget` takes them.
        registry: creates the budgets.

    Raises:
        VtbenchError: one of the budgets does not exist, or has an invalid setting.
    """

    needs: frozenset[Capability] = frozenset({"generate", "budget", "visual_tokens"})
    fit_samples = FIT_SAMPLES
    layers: tuple[str, ...] = BudgetFitter.layers

    def __init__(self, policies: Sequence[str], registry: Registry) -> None:
        self._policies = tuple(dict.fromkeys(policies))
        self._fitter = BudgetFitter({policy: registry.budget(policy) for policy in self._policies})
        self.budgets: Mapping[str, Budget] = {"none": GridKeep(TokenCount(count=0)), **self._fitter.budgets}

    def partial_fit(self, batch: Batch) -> None:
        """Measure the tokens that each budget gives a task's first images."""
        self._fitter.partial_fit(batch)

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the counts, or the measurements of a fitted budget."""
        return self._fitter.state()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Fit the budgets, and give each budget's rivals its mean count."""
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
            AdapterError: the adapter does not report how many visual tokens the decoder read.
        """
        return [
            {
                "all": _seen(sample, whole),
                **{name: _seen(sample, outputs[i]) for name, outputs in batch.budgeted.items()},
            }
            for i, (sample, whole) in enumerate(zip(batch.samples, batch.outputs, strict=True))
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return the mean credit with `all` tokens, with `none`, and under each budget, as `frontier.NAME`.

        A score is flagged `above_random`, `below_random`, `above_grid` or `below_grid` if the 95 % interval of the
        paired difference, which is in its detail, excludes 0. `detail["curve"]` of `frontier.all` has a point for
        every budget and rival, by policy; the points with no token and with all tokens belong to the policy `any`.
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
    """Return the token count with this mean, rounded to 0.1; a whole mean becomes a count, so that equal budgets merge.

    >>> averaging(15.98), averaging(7.83)
    (TokenCount(fraction=None, count=16, mean=None), TokenCount(fraction=None, count=None, mean=7.8))
    """
    tenth = round(mean, 1)
    return TokenCount(count=int(tenth)) if tenth == int(tenth) else TokenCount(mean=tenth)


def _seen(sample: Sample, output: Output) -> dict[str, Any]:
    if output.visual_tokens_in is None:
        missing = "the model does not report how many visual tokens it read (Output.visual_tokens_in)"
        raise AdapterError(f"metric budget_frontier: {missing}")
    return {"credit": credit(output.text, sample), **cost(output)}


def _policies(observation: Observation) -> Iterator[str]:
    """Yield the budgets of an observation, recognised by their rivals; rescoring has no other source for them."""
    for name in observation:
        if all(f"{name} {rival}" in observation for rival in RIVALS):
            yield name
