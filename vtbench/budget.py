"""The token budget protocol: which visual tokens the decoder reads, and which ones are merged.

A budget maps the connector's output tokens of a batch to one weight matrix per sample, with one row per token that the
decoder reads. The plugin `vtbench_budgets` has the budgets that come with vtbench.
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

    The weights of a sample depend on that sample only, never on the rest of the batch. Budgets are hashable (frozen
    dataclasses, for example); the model is queried once for all budgets that compare equal.
    """

    @property
    def name(self) -> str:
        """The policy with its settings, for people; different budgets have different names."""
        ...

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Return one weight matrix per sample: (k, N) floats whose rows sum to 1, for N visual tokens.

        Row j gives the decoder one token, sum_i w_ji z_i: a one-hot row keeps token i, an averaging row merges several.
        The new token takes the position of its token of largest weight (the first, on a tie). k may be 0 and may differ
        between samples.

        Args:
            visual: the connector's tokens (n, N, d), a numpy array or a torch tensor on any device, and their boxes.
            keys: one per sample, the same in every run and process, to seed random choices.
        """
        ...


@runtime_checkable
class FittedBudget(Budget, Protocol):
    """A budget with a parameter that is fitted on a task's first images, for example to reach a given mean count.

    The loop measures the first images, stores the measurements with the run, and queries the model under the budget
    that `fitted` returns. An answer therefore depends on its own image and on the task, never on batches or their
    order. `weights` raises `VtbenchError` before the budget is fitted.
    """

    def measure(self, visual: VisualTokens) -> np.ndarray:
        """Return the measurements of each image, (n, ...) floats."""
        ...

    def fitted(self, measured: np.ndarray) -> Budget:
        """Return the budget fitted on the measured images.

        Raises:
            VtbenchError: no parameter satisfies the budget on these images.
        """
        ...

    def counts(self, measured: np.ndarray) -> np.ndarray:
        """Return the number of tokens that the fitted budget gives each measured image, (n,)."""
        ...


def checked_weights(budget: Budget, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
    """Return the weight matrices of a batch as float32, after checking them.

    Raises:
        PluginError: a matrix is not (k, N) with k <= N, is not finite, or has a row that does not sum to 1.
    """
    count = visual.tokens.shape[1]
    found = [np.ascontiguousarray(weights, dtype=np.float32) for weights in budget.weights(visual, keys)]
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
