"""Fits token budgets on a task's first images.

The measurements are stored with the run, like the state of a visual metric. A resumed run therefore has exactly the
same budgets, and an answer depends only on the task and on its own image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vtbench.budget import Budget, FittedBudget, checked_weights
from vtbench.metric import Batch

FIT_SAMPLES = 128
"""Number of a task's first images that are measured."""


class BudgetFitter:
    """Measures the first images under several budgets: token counts, or the measurements of a `FittedBudget`.

    Args:
        budgets: by name; the caller chooses the names.
    """

    fit_samples = FIT_SAMPLES
    layers: tuple[str, ...] = ("connector",)

    def __init__(self, budgets: Mapping[str, Budget]) -> None:
        self._asked = dict(budgets)
        self._seen: dict[str, list[np.ndarray]] = {name: [] for name in budgets}
        self.budgets: dict[str, Budget] = dict(budgets)
        """The budgets, fitted after `load_state`."""
        self.means: dict[str, float] = {}
        """Mean token count of the first images under each budget."""
        self.images = 0

    @property
    def needed(self) -> bool:
        """Whether any of the budgets has to be fitted."""
        return any(isinstance(budget, FittedBudget) for budget in self._asked.values())

    def partial_fit(self, batch: Batch) -> None:
        """Measure a batch of the first images."""
        visual, keys = batch.visual["connector"], [sample.id for sample in batch.samples]
        for name, budget in self._asked.items():
            if isinstance(budget, FittedBudget):
                self._seen[name].append(np.asarray(budget.measure(visual)))
            else:
                self._seen[name].append(np.array([float(len(w)) for w in checked_weights(budget, visual, keys)]))

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the measurements of each budget, one row per image."""
        return {name: np.concatenate(parts) for name, parts in self._seen.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Fit the budgets on stored measurements."""
        for name, budget in self._asked.items():
            counts = measured = state[name]
            if isinstance(budget, FittedBudget):
                self.budgets[name], counts = budget.fitted(measured), budget.counts(measured)
            self.means[name], self.images = float(np.mean(counts)), len(counts)
