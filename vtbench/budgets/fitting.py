"""Budgets that are fitted on a task's first pictures: batches of them in, what was measured out, and back to budgets.

What was measured is stored with the run, as a visual metric's basis is, so a resumed run has the very same budgets, and
an answer depends on the task and on its own picture alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vtbench.budget import Budget, FittedBudget, checked_weights
from vtbench.metric import Batch

PICTURES = 128
"""So many first pictures of a task are measured."""


class Fit:
    """Measures the first pictures under budgets: the tokens that each gets, or what a `FittedBudget` must know.

    Args:
        budgets: by names of the caller's.
    """

    warmup = PICTURES
    layers: tuple[str, ...] = ("connector",)

    def __init__(self, budgets: Mapping[str, Budget]) -> None:
        self._asked = dict(budgets)
        self._seen: dict[str, list[np.ndarray]] = {name: [] for name in budgets}
        self.budgets: dict[str, Budget] = dict(budgets)
        """As fitted, once they are."""
        self.means: dict[str, float] = {}
        """Tokens that the first pictures got on average."""
        self.pictures = 0

    @property
    def needed(self) -> bool:
        """Whether any of the budgets waits to be fitted."""
        return any(isinstance(budget, FittedBudget) for budget in self._asked.values())

    def warm(self, batch: Batch) -> None:
        """Measure a batch of the first pictures."""
        visual, keys = batch.visual["connector"], [sample.id for sample in batch.samples]
        for name, budget in self._asked.items():
            if isinstance(budget, FittedBudget):
                self._seen[name].append(np.asarray(budget.measure(visual)))
            else:
                self._seen[name].append(np.array([float(len(w)) for w in checked_weights(budget, visual, keys)]))

    def basis(self) -> Mapping[str, np.ndarray]:
        """Return what was measured, a row a picture."""
        return {name: np.concatenate(parts) for name, parts in self._seen.items()}

    def restore(self, basis: Mapping[str, np.ndarray]) -> None:
        """Fit the budgets on what was measured."""
        for name, budget in self._asked.items():
            counts = measured = basis[name]
            if isinstance(budget, FittedBudget):
                self.budgets[name], counts = budget.fitted(measured), budget.counts(measured)
            self.means[name], self.pictures = float(np.mean(counts)), len(counts)
