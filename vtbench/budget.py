"""The protocol a token budget meets: which visual tokens the decoder sees, or what it sees in their place.

In: a batch's visual tokens as they leave the connector, and a key for each sample. Out: for each sample a matrix with a
row for every token that the decoder is given. The budgets that come with vtbench are in `vtbench_budgets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from vtbench.errors import PluginError
from vtbench.types import VisualTokens


@runtime_checkable
class Budget(Protocol):
    """A policy that keeps, drops or merges visual tokens.

    What it gives a sample depends on that sample alone, never on the rest of the batch. Budgets are hashable, and equal
    ones (frozen dataclasses of equal settings, say) are one budget: the model is asked under it once.
    """

    @property
    def name(self) -> str:
        """The policy with its settings, for people; it tells apart what differs, and is part of a run's digest."""
        ...

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Return what the decoder is given of each sample's N tokens: (k, N) floats whose rows sum to 1.

        Row j makes one token, sum_i w_ji z_i: a one-hot row keeps token i, an averaging one merges several. It stands
        where the token of its largest weight stood, the first of equals. k may be 0, and differ between samples.

        Args:
            visual: the connector's tokens (n, N, d), a numpy array or a torch tensor on any device, and their boxes.
            keys: one a sample, the same in every run and process, for whatever is drawn at random.
        """
        ...


@runtime_checkable
class FittedBudget(Budget, Protocol):
    """A budget with a scale of its own to set, on a task's first pictures: to reach a stated mean, say.

    The loop measures the first pictures, stores what was measured with the run, and asks the model under what `fitted`
    returns. So an answer depends on its own picture and on the task, never on batches or their order. Asked for
    weights before it is fitted, it raises `VtbenchError`.
    """

    def measure(self, visual: VisualTokens) -> np.ndarray:
        """Return what must be known of each picture, (n, ...) floats."""
        ...

    def fitted(self, measured: np.ndarray) -> Budget:
        """Return the budget as fitted on the pictures that were measured.

        Raises:
            VtbenchError: they allow no such budget.
        """
        ...

    def counts(self, measured: np.ndarray) -> np.ndarray:
        """Return how many tokens the budget, fitted on them, gives to each of the pictures measured, (n,)."""
        ...


def checked_weights(budget: Budget, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
    """Return a budget's weights for each sample of a batch, as float32.

    Raises:
        PluginError: they are not (k, N) with k <= N, not finite, or a row does not sum to 1.
    """
    count = visual.tokens.shape[1]
    found = [np.asarray(weights, dtype=np.float32) for weights in budget.weights(visual, keys)]
    if len(found) != len(keys):
        raise PluginError(f"budget {budget.name!r} gave weights for {len(found)} of {len(keys)} samples")
    for key, weights in zip(keys, found, strict=True):
        if weights.ndim != 2 or weights.shape[1] != count or weights.shape[0] > count:
            raise PluginError(
                f"budget {budget.name!r} gave weights {weights.shape} for {key}, which has {count} visual tokens"
            )
        if not np.allclose(weights.sum(axis=1), 1, atol=1e-4):  # NaN is close to nothing
            raise PluginError(f"budget {budget.name!r}: not every row of its weights for {key} sums to 1")
    return found
