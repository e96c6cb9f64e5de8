"""An adapter under a token budget: every answer is from what the budget leaves of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.adapter import BudgetAdapter
from vtbench.budget import Budget
from vtbench.budgets.fitting import Fit
from vtbench.types import Capability, Output, Sample, VisualTokens

_ONE = "budget"


class Within:
    """Another adapter, asked under one budget. Visual tokens are all of the picture's: a budget acts behind them.

    Args:
        inner: the adapter that answers.
        budget: one that has to be fitted must be, through `begin`, before the first question.
    """

    def __init__(self, inner: BudgetAdapter, budget: Budget) -> None:
        self._inner, self._asked = inner, budget
        self._fit = Fit({_ONE: budget})
        self.capabilities: frozenset[Capability] = inner.capabilities - {"budget", "train"}
        self.image_size = inner.image_size
        self.layers = inner.layers

    def begin(self) -> Fit:
        """Forget what an earlier task was fitted on; return what is to be fitted on the next one, if it is `needed`."""
        self._fit = Fit({_ONE: self._asked})
        return self._fit

    @property
    def budget(self) -> Budget:
        """The budget, as fitted to the task in hand."""
        return self._fit.budgets[_ONE]

    @property
    def facts(self) -> dict[str, Any]:
        """The budget for people; where it was fitted, on how many pictures, and the mean that these get."""
        fitted = {"pictures": self._fit.pictures, "mean": self._fit.means[_ONE]} if self._fit.means else {}
        return {"budget": self.budget.name, **fitted}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer from what the budget leaves."""
        return self._inner.generate(samples, max_new_tokens, self.budget)

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Rank from what the budget leaves."""
        return self._inner.rank(samples, self.budget)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the whole picture's tokens."""
        return self._inner.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Describe the adapter inside."""
        return self._inner.describe()

    def close(self) -> None:
        """Close the adapter inside."""
        self._inner.close()
