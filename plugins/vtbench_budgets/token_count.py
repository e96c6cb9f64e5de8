"""The number of visual tokens that a budget keeps: a count, a fraction, or a mean over images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vtbench.errors import VtbenchError
from vtbench.scenes.rng import HashRng

_SHARES = 1 << 30


def number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """Return a setting that must be a number from `low` to `high`.

    Raises:
        VtbenchError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise VtbenchError(f"{name} must be a number, not {value!r}")
    if not low <= value <= high:
        reach = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
        raise VtbenchError(f"{name} must be {reach}, not {value}")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """A number of visual tokens: a fraction, a count, or a mean count. Exactly one of them is set.

    Raises:
        VtbenchError: none or several are set, or the value is out of range.
    """

    fraction: float | None = None
    """In [0, 1]; any fraction above 0 gives at least one token."""
    count: int | None = None
    mean: float | None = None
    """A mean over images: each gets the integer below or above, drawn by its key."""

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.fraction, self.count, self.mean)) != 1:
            raise VtbenchError("how many tokens is said once: k=COUNT, f=FRACTION or mean=COUNT")
        if self.fraction is not None:
            number("f", self.fraction, 0, 1)
        elif self.mean is not None:
            number("mean", self.mean, 0)
        elif not isinstance(self.count, int) or isinstance(self.count, bool):
            raise VtbenchError(f"k must be a whole number, not {self.count!r}")
        else:
            number("k", self.count, 0)

    def of(self, total: int, key: str = "") -> int:
        """Return the number of tokens out of `total` for the sample of this key.

        >>> [TokenCount(fraction=f).of(64) for f in (0, 0.01, 0.1, 1)]
        [0, 1, 6, 64]
        >>> [TokenCount(mean=2.25).of(64, key) for key in "abcdefgh"]
        [3, 2, 3, 2, 2, 3, 2, 2]

        Raises:
            VtbenchError: the count exceeds `total`.
        """
        if self.fraction is not None:
            return max(1, round(self.fraction * total)) if self.fraction > 0 else 0
        if self.mean is not None:
            whole = int(self.mean)
            more = HashRng("budget mean", key).below(_SHARES) < (self.mean - whole) * _SHARES
            return at_most(whole + more, total)
        assert self.count is not None
        return at_most(self.count, total)

    def __str__(self) -> str:
        if self.mean is not None:
            return f"{self.mean:g} tokens on average"
        return f"{self.count} tokens" if self.fraction is None else f"{self.fraction:g}"


def at_most(count: int, total: int) -> int:
    """Return `count` if it is at most `total`.

    Raises:
        VtbenchError: `count` exceeds `total`.
    """
    if count > total:
        raise VtbenchError(f"a token budget of {count} where an image has {total} visual tokens; ask for less")
    return count
