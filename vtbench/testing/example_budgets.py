"""Token budgets that an adapter is checked under, by position alone; two of them are ones that it must refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vtbench.budget import Budget
from vtbench.errors import VtbenchError
from vtbench.types import VisualTokens


@dataclass(frozen=True, slots=True)
class KeepFirst:
    """Keeps the first k tokens, or all where there are fewer."""

    k: int

    @property
    def name(self) -> str:
        """The policy with its setting."""
        return f"first {self.k} tokens"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Return the first rows of the identity."""
        return [np.eye(visual.tokens.shape[1], dtype=np.float32)[: self.k]] * len(keys)


@dataclass(frozen=True, slots=True)
class KeepAll:
    """Keeps every token."""

    name: str = "all tokens"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Return the identity."""
        return [np.eye(visual.tokens.shape[1], dtype=np.float32)] * len(keys)


@dataclass(frozen=True, slots=True)
class Halves:
    """Merges the tokens into two: the mean of the first half, and of the second."""

    name: str = "two means"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Return two rows."""
        total = visual.tokens.shape[1]
        first = np.arange(total) < (total + 1) // 2
        rows = np.stack([first / first.sum(), ~first / max((~first).sum(), 1)]).astype(np.float32)
        return [rows[: min(total, 2)]] * len(keys)


@dataclass(frozen=True, slots=True)
class Uneven:
    """Keeps some tokens and the mean of all, another number of them for each sample."""

    name: str = "uneven"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Return between 1 and 4 rows, by the sample's key."""
        total = visual.tokens.shape[1]
        mean = np.full((1, total), 1 / total, np.float32)
        counts = [min(sum(key.encode()) % 4, total - 1) for key in keys]
        return [np.concatenate([np.eye(total, dtype=np.float32)[:count], mean]) for count in counts]


@dataclass(frozen=True, slots=True)
class Broken:
    """Gives weights that sum to 2: no adapter may use them."""

    name: str = "broken"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Return twice the identity."""
        return [2 * np.eye(visual.tokens.shape[1], dtype=np.float32)] * len(keys)


@dataclass(frozen=True, slots=True)
class Impossible:
    """Cannot be met: its error must reach the user as it is."""

    name: str = "impossible"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Refuse."""
        raise VtbenchError("budget of 100000 where an image has fewer visual tokens")


EXAMPLES: tuple[Budget, ...] = (KeepFirst(0), KeepFirst(3), Halves(), Uneven())
"""Under each of these, answers may not depend on the batch."""
