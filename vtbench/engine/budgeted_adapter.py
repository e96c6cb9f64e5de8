"""An adapter under a token budget, which applies to every answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.adapter import BudgetAdapter, traits_of
from vtbench.budget import Budget
from vtbench.engine.budget_fitter import BudgetFitter
from vtbench.types import Capability, Output, Sample, VisualTokens

_ONE = "budget"


class BudgetedAdapter:
    """Wraps an adapter and passes it one budget. `visual_tokens` returns all tokens: the budget acts after them.

    Args:
        inner: the adapter that answers.
        budget: a `FittedBudget` must be fitted through `new_fitter` before the first query.
    """

    def __init__(self, inner: BudgetAdapter, budget: Budget) -> None:
        self._asked = budget
        self._fitter = BudgetFitter({_ONE: budget})
        self.capabilities: frozenset[Capability] = inner.capabilities - {"budget", "train"}
        self.image_size = inner.image_size
        self.layers = inner.layers
        self.traits = traits_of(inner)
        self.inner = inner
        """The adapter that answers."""

    def new_fitter(self) -> BudgetFitter:
        """Discard the fit to the previous task, and return the fitter for the next one."""
        self._fitter = BudgetFitter({_ONE: self._asked})
        return self._fitter

    @property
    def budget(self) -> Budget:
        """The budget, fitted to the current task."""
        return self._fitter.budgets[_ONE]

    @property
    def facts(self) -> dict[str, Any]:
        """The budget's name; if it was fitted, the number of images and their mean token count."""
        fitter = self._fitter
        fitted = {"pictures": fitter.images, "mean": fitter.means[_ONE]} if fitter.means else {}
        return {"budget": self.budget.name, **fitted}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Generate answers under the budget."""
        return self.inner.generate(samples, max_new_tokens, self.budget)

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Rank choices under the budget."""
        return self.inner.rank(samples, self.budget)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return all visual tokens of the images."""
        return self.inner.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Describe the wrapped adapter."""
        return self.inner.describe()

    def close(self) -> None:
        """Close the wrapped adapter."""
        self.inner.close()
