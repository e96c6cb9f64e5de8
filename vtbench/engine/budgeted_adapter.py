"""An adapter under a token budget: every answer is from what the budget leaves of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.adapter import BudgetAdapter
from vtbench.budget import Budget
from vtbench.engine.budget_fitter import BudgetFitter
from vtbench.types import Capability, Output, Sample, VisualTokens

_ONE = "budget"


class BudgetedAdapter:
    """Another adapter, asked under one budget. `visual_tokens` returns all tokens: the budget acts behind them.

    Args:
        inner: the adapter that answers.
        budget: one that has to be fitted must be, through `new_fitter`, before the first question.
    """

    def __init__(self, inner: BudgetAdapter, budget: Budget) -> None:
        self._inner, self._asked = inner, budget
        self._fitter = BudgetFitter({_ONE: budget})
        self.capabilities: frozenset[Capability] = inner.capabilities - {"budget", "train"}
        self.image_size = inner.image_size
        self.layers = inner.layers

    def new_fitter(self) -> BudgetFitter:
        """Forget what an earlier task was fitted on; return what is to be fitted on the next one, if it is `needed`."""
        self._fitter = BudgetFitter({_ONE: self._asked})
        return self._fitter

    @property
    def budget(self) -> Budget:
        """The budget, as fitted to the task in hand."""
        return self._fitter.budgets[_ONE]

    @property
    def facts(self) -> dict[str, Any]:
        """The budget for people; where it was fitted, on how many images, and the mean that these get."""
        fitter = self._fitter
        fitted = {"pictures": fitter.images, "mean": fitter.means[_ONE]} if fitter.means else {}
        return {"budget": self.budget.name, **fitted}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer from what the budget leaves."""
        return self._inner.generate(samples, max_new_tokens, self.budget)

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Rank from what the budget leaves."""
        return self._inner.rank(samples, self.budget)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return all visual tokens of the images."""
        return self._inner.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Describe the adapter inside."""
        return self._inner.describe()

    def close(self) -> None:
        """Close the adapter inside."""
        self._inner.close()
