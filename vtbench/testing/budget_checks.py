"""Checks of a token budget: weights that an adapter can use, of each sample on its own, the same in every run.

The budget sees the pixels of image patches as visual tokens, with boxes and without, as many as it can be met with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec

import numpy as np

from vtbench.budget import Budget, FittedBudget, checked_weights
from vtbench.errors import VtbenchError
from vtbench.plugin import KINDS
from vtbench.testing.checks import Check, CheckFailed, expect
from vtbench.testing.example_items import ADAPTER_TASKS, example_samples, patch_tokens
from vtbench.types import VisualTokens

SIDES = (8, 24, 48)
"""Tokens along a side of the image: the first number of tokens that the budget can be met with is used."""


def budget_checks(make: Callable[[], Budget]) -> list[Check]:
    """Return the checks of a token budget, and those of a `FittedBudget` if it is one.

    Args:
        make: makes the budget, with the same settings each time.

    Raises:
        VtbenchError: the budget cannot be made.
    """
    session = _Session(make)
    checks = [Check("it declares what a budget must", session.check_members)]
    if session.missing:
        return checks
    if session.fitted:
        checks += [
            Check("before it is fitted it refuses to give weights", session.check_unfitted),
            Check("measure returns one row for each sample, whatever the batch", session.check_measure),
            Check("counts are those of the weights of the fitted budget", session.check_counts),
        ]
    checks += [
        Check("two of the same settings are one budget", session.check_equal),
        Check("weights are (kept, tokens) with rows that sum to 1", session.check_weights),
        Check("weights do not depend on the batch", session.check_batch),
        Check("weights are the same each time", session.check_repeatable),
        Check("weights are given for tokens without boxes", session.check_without_boxes),
        Check("visual tokens are left as they are", session.check_unchanged),
    ]
    if find_spec("torch"):
        checks.append(Check("weights of torch tensors are those of arrays", session.check_torch))
    return checks


class _Session:
    """The budget under check, fitted if it is to be."""

    def __init__(self, make: Callable[[], Budget]) -> None:
        self._make = make
        first = make()
        self.missing = KINDS["budget"].missing_members(first)
        self.fitted = not self.missing and isinstance(first, FittedBudget)
        self._label = type(first).__name__
        self._samples = example_samples(ADAPTER_TASKS, 3, 96)
        self._keys = [sample.id for sample in self._samples]

    @cached_property
    def _visual(self) -> VisualTokens:
        """Visual tokens as many as the budget needs."""
        for side in SIDES:
            visual = patch_tokens(self._samples, side=side)
            try:
                self._ready(visual).weights(visual, self._keys)
            except VtbenchError:
                if side == SIDES[-1]:
                    raise
                continue
            break
        return visual

    def _ready(self, visual: VisualTokens | None = None) -> Budget:
        """Return the budget, fitted on the images."""
        budget = self._make()
        visual = self._visual if visual is None else visual
        return budget.fitted(budget.measure(visual)) if isinstance(budget, FittedBudget) else budget

    def _weights(self, visual: VisualTokens, rows: Sequence[int] | None = None) -> list[np.ndarray]:
        rows = range(len(self._keys)) if rows is None else rows
        part = replace(visual, tokens=visual.tokens[list(rows)])
        return checked_weights(self._ready(), part, [self._keys[i] for i in rows])

    def check_members(self) -> None:
        """Fail where a member is missing, or is not what the protocol says."""
        names = ", ".join(f"`{name}`" for name in self.missing)
        expect(not self.missing, f"{self._label} lacks {names}; expected the members of vtbench.Budget")
        name = self._make().name
        expect(isinstance(name, str) and name, f"name is {name!r}; expected the policy with its settings")

    def check_unfitted(self) -> None:
        """Fail where weights are given before the budget is fitted, or after that the budget is not."""
        try:
            self._make().weights(self._visual, self._keys)
        except VtbenchError:
            budget = self._ready()
            kind = type(budget).__name__
            expect(
                not isinstance(budget, FittedBudget), f"fitted returned a {kind}; expected one that is not to be fitted"
            )
            return
        raise CheckFailed("weights are given before the budget is fitted; expected a VtbenchError")

    def check_measure(self) -> None:
        """Fail where what is measured of an image depends on the batch."""
        budget, visual = self._make(), self._visual
        assert isinstance(budget, FittedBudget)
        whole = np.asarray(budget.measure(visual))
        rows = whole.shape[0] if whole.ndim else 0
        expect(rows == len(self._keys), f"measure returned {whole.shape} for {len(self._keys)} samples; expected rows")
        parts = [
            np.asarray(budget.measure(replace(visual, tokens=visual.tokens[i : i + 2]))) for i in range(0, rows, 2)
        ]
        for key, one, other in zip(self._keys, whole, np.concatenate(parts), strict=True):
            same = np.allclose(one, other, rtol=1e-4, atol=1e-5)
            expect(same, f"measure gives another row for {key} in a batch of 2; expected the same")

    def check_counts(self) -> None:
        """Fail where the counts that are reported are not those that are kept."""
        budget = self._make()
        assert isinstance(budget, FittedBudget)
        counts = np.asarray(budget.counts(budget.measure(self._visual))).tolist()
        kept = [len(rows) for rows in self._weights(self._visual)]
        expect(counts == kept, f"counts are {counts}, but the weights keep {kept} tokens; expected the same numbers")

    def check_equal(self) -> None:
        """Fail where two budgets of the same settings are two questions to a model."""
        one, other = self._ready(), self._ready()
        try:
            hashed = hash(one) == hash(other)
        except TypeError as error:
            raise CheckFailed(f"it cannot be hashed: {error}; expected a frozen dataclass, say") from error
        same = one == other and hashed
        expect(
            same, "two of the same settings are not equal; expected equal ones with one hash (a frozen dataclass, say)"
        )
        expect(one.name == other.name, f"two of the same settings are called {one.name!r} and {other.name!r}")

    def check_weights(self) -> None:
        """Fail where weights are none, or are negative."""
        for key, rows in zip(self._keys, self._weights(self._visual), strict=True):
            least = float(rows.min(initial=0))
            expect(least >= 0, f"a weight for {key} is {least:.4g}; expected none below 0")

    def check_batch(self) -> None:
        """Fail where a sample's weights depend on what else is in the batch."""
        whole = self._weights(self._visual)
        order = np.random.default_rng(0).permutation(len(self._keys)).tolist()
        shuffled = dict(zip(order, self._weights(self._visual, order), strict=True))
        alone = [self._weights(self._visual, [i])[0] for i in range(len(self._keys))]
        for i, key in enumerate(self._keys):
            for how, other in (("alone", alone[i]), ("in another order", shuffled[i])):
                what = f"weights of {key} are others {how} than in the batch of {len(self._keys)}"
                expect(_same(whole[i], other), f"{what}; expected the same for each sample on its own")

    def check_repeatable(self) -> None:
        """Fail where weights are drawn anew."""
        for key, one, other in zip(self._keys, self._weights(self._visual), self._weights(self._visual), strict=True):
            same = np.array_equal(one, other)
            expect(same, f"weights of {key} are others the second time; expected what is drawn to follow from the key")

    def check_without_boxes(self) -> None:
        """Fail where tokens that stand for no part of the image, as a resampler's, have no weights."""
        for rows in self._weights(replace(self._visual, boxes=None)):
            expect(rows.ndim == 2, "no weights for tokens without boxes")

    def check_unchanged(self) -> None:
        """Fail where the visual tokens are changed in place."""
        before = self._visual.tokens.copy()
        self._weights(self._visual)
        self._ready().weights(self._visual, self._keys)
        same = np.array_equal(before, self._visual.tokens)
        expect(same, "weights changed the visual tokens in place; expected to leave them as they are")

    def check_torch(self) -> None:
        """Fail where torch tensors cannot be weighed."""
        import torch

        for dtype in (torch.float32, torch.bfloat16):
            tensors = torch.as_tensor(self._visual.tokens).to(dtype)
            found = self._weights(replace(self._visual, tokens=tensors))
            exact = replace(self._visual, tokens=tensors.float().numpy())
            for key, one, other in zip(self._keys, found, self._weights(exact), strict=True):
                same = _same(one, other)
                expect(same or dtype is torch.bfloat16, f"weights of {key} are others for a torch tensor than an array")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, atol=1e-5)
