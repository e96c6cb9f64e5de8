"""A random number generator whose stream is a function of a key, the same on every machine.

The bits come from BLAKE2b in counter mode, and choices use integer arithmetic defined here, because library generators
guarantee their streams within one version only.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_WORDS = struct.Struct("<16I")


class HashRng:
    """A stream of random integers that depends only on its key.

    >>> HashRng("relational", "test", 0, 17).below(1000) == HashRng("relational", "test", 0, 17).below(1000)
    True
    """

    def __init__(self, *key: str | int) -> None:
        self._base = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=64)
        self._block = 0
        self._words: list[int] = []

    def _refill(self) -> list[int]:
        block = self._base.copy()
        block.update(self._block.to_bytes(8, "little"))
        self._block += 1
        self._words += _WORDS.unpack(block.digest())
        return self._words

    # `below` and `between` take most of the time of making a scene: each makes one call only.

    def below(self, n: int) -> int:
        """Return an integer in [0, n), n < 2^32. The bias is at most n / 2^32."""
        return ((self._words or self._refill()).pop() * n) >> 32

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return low + (((self._words or self._refill()).pop() * (high - low + 1)) >> 32)

    def choice(self, items: Sequence[T]) -> T:
        """Return one of `items`."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """Return `k` items without replacement, in random order."""
        pool = list(items)
        for i in range(k):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:k]
