"""Token budgets: which visual tokens the decoder sees, or what it sees in their place.

In: a batch's visual tokens as they leave the connector, and a key for each sample. Out: for each sample a matrix with a
row for every token that the decoder is given. The three policies here look at places only, never into a token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vtbench.config import pairs
from vtbench.errors import PluginError, VtbenchError, nearest
from vtbench.scenes.draws import Draws
from vtbench.types import VisualTokens


@runtime_checkable
class Budget(Protocol):
    """A policy that keeps, drops or merges visual tokens.

    What it gives a sample depends on that sample alone, never on the rest of the batch. Budgets are hashable, and equal
    ones (frozen dataclasses of equal settings, say) are one budget: the model is asked under it once.
    """

    @property
    def name(self) -> str:
        """The policy with its settings, for people."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many visual tokens: a fraction of them, or a count.

    Raises:
        VtbenchError: neither or both are given, or they are out of range.
    """

    fraction: float | None = None
    """In [0, 1]; any fraction above 0 is at least one token."""
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.fraction is None) == (self.count is None):
            raise VtbenchError("a token budget takes a fraction or a count, one of the two")
        if self.fraction is not None and not 0 <= self.fraction <= 1:
            raise VtbenchError(f"a token budget's fraction lies between 0 and 1, not at {self.fraction}")
        if self.count is not None and self.count < 0:
            raise VtbenchError(f"a token budget's count is at least 0, not {self.count}")

    def of(self, total: int) -> int:
        """Return the number of tokens out of `total`.

        >>> [Amount(fraction=f).of(64) for f in (0, 0.01, 0.1, 1)]
        [0, 1, 6, 64]

        Raises:
            VtbenchError: more are asked for than there are.
        """
        if self.fraction is not None:
            return max(1, round(self.fraction * total)) if self.fraction > 0 else 0
        assert self.count is not None
        if self.count > total:
            raise VtbenchError(
                f"a token budget of {self.count} where a picture has {total} visual tokens; ask for less"
            )
        return self.count

    def __str__(self) -> str:
        return f"{self.count} tokens" if self.fraction is None else f"{self.fraction:g}"


@dataclass(frozen=True, slots=True)
class RandomKeep:
    """Keeps tokens drawn uniformly: the same ones in every process, and of two amounts the smaller within the larger.

    >>> visual = VisualTokens("connector", np.zeros((1, 4, 2)))
    >>> RandomKeep(Amount(count=2)).weights(visual, ["relational/test/0/17"])[0].argmax(axis=1)
    array([1, 3])
    """

    amount: Amount
    seed: int = 0

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"random {self.amount}, seed {self.seed}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Draw for each key."""
        total = visual.tokens.shape[1]
        k = self.amount.of(total)
        return [_one_hot(Draws("budget", self.seed, key).sample(range(total), k), total) for key in keys]


@dataclass(frozen=True, slots=True)
class GridKeep:
    """Keeps tokens spread evenly: over the picture where the tokens have boxes, else over their order."""

    amount: Amount

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"grid {self.amount}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Take the token nearest to the centre of each cell, each once: those of the least sum of squared distances."""
        from scipy.optimize import linear_sum_assignment

        total = visual.tokens.shape[1]
        k = self.amount.of(total)
        if visual.boxes is None:
            return [_one_hot(((np.arange(k) + 0.5) * total / k).astype(int), total)] * len(keys)
        cells = _centres(_cells(visual.boxes, k))
        away = np.square(cells[:, None] - _centres(visual.boxes)).sum(axis=2)
        return [_one_hot(linear_sum_assignment(away)[1], total)] * len(keys)


@dataclass(frozen=True, slots=True)
class DownSample:
    """Averages the tokens of each cell of a grid over the picture (of each run of them, where they have no boxes)."""

    amount: Amount

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"down-sample {self.amount}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Average each token into the cell that its centre lies in; a cell without any takes the nearest token."""
        total = visual.tokens.shape[1]
        k = self.amount.of(total)
        if visual.boxes is None:
            members = (np.arange(total) * k // total == np.arange(k)[:, None]).astype(float)
        else:
            cells, (x, y) = _cells(visual.boxes, k), _centres(visual.boxes).T
            left, top, right, bottom = cells.T[..., None]
            members = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).astype(float)
            for cell in np.flatnonzero(members.sum(axis=1) == 0):
                members[cell, np.square(_centres(cells)[cell] - np.stack([x, y], 1)).sum(axis=1).argmin()] = 1
        return [(members / members.sum(axis=1, keepdims=True)).astype(np.float32)] * len(keys)


POLICIES: Mapping[str, Callable[..., Budget]] = {"random": RandomKeep, "grid": GridKeep, "downsample": DownSample}
"""The policies by the names that `parse_budget` takes."""


def parse_budget(text: str) -> Budget:
    """Read a budget as the command line has it: `policy:k=COUNT` or `policy:f=FRACTION`; `random` takes a `seed` too.

    >>> parse_budget("random:k=16,seed=3").name, parse_budget("grid:f=0.25").name
    ('random 16 tokens, seed 3', 'grid 0.25')

    Raises:
        VtbenchError: no such policy or setting, or a setting out of range.
    """
    policy, _, rest = text.partition(":")
    if policy not in POLICIES:
        raise VtbenchError(f"budget {text!r}: there is no policy {policy!r}.{nearest(policy, list(POLICIES))}")
    allowed: dict[str, tuple[type, ...]] = {"k": (int,), "f": (int, float)}
    if policy == "random":
        allowed["seed"] = (int,)
    settings = pairs(rest)
    for key, value in settings.items():
        if key not in allowed:
            raise VtbenchError(f"budget {text!r}: {policy} has no setting {key!r}.{nearest(key, list(allowed))}")
        if isinstance(value, bool) or not isinstance(value, allowed[key]):
            raise VtbenchError(
                f"budget {text!r}: {key} must be a {'' if key == 'f' else 'whole '}number, not {value!r}"
            )
    amount: dict[str, Any] = {"count": settings.pop("k", None), "fraction": settings.pop("f", None)}
    try:
        return POLICIES[policy](Amount(**amount), **settings)
    except VtbenchError as error:
        raise VtbenchError(f"budget {text!r}: {error}; write {policy}:k=COUNT or {policy}:f=FRACTION") from error


def _one_hot(chosen: Sequence[int] | np.ndarray, total: int) -> np.ndarray:
    """Rows (k, total) that keep the chosen tokens, in the tokens' order."""
    weights = np.zeros((len(chosen), total), dtype=np.float32)
    weights[np.arange(len(chosen)), np.sort(np.asarray(chosen, dtype=int))] = 1
    return weights


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _cells(boxes: np.ndarray, k: int) -> np.ndarray:
    """Cut what the boxes cover into k cells (k, 4), in rows as equal as they can be.

    There are no more rows, and in a row no more cells, than tokens stand below and beside each other: a cell of a full
    grid of tokens is never empty.
    """
    across, down = (len(np.unique(axis.round(6))) for axis in _centres(boxes).T)
    rows = np.array_split(np.arange(k), max(1, min(down, k, max(round((k * down / across) ** 0.5), -(-k // across)))))
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    cells = [
        (x0, y0, x1, y1)
        for row, (y0, y1) in zip(rows, pairwise(np.linspace(top, bottom, len(rows) + 1)), strict=True)
        for x0, x1 in pairwise(np.linspace(left, right, len(row) + 1))
    ]
    return np.array(cells).reshape(k, 4)
