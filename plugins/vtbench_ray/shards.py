"""Which batches are asked, which came back, and in which order they may be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vtbench.executor import BatchResult


@dataclass(eq=False, slots=True)
class Shard:
    """A batch to ask a worker about."""

    number: int
    indices: Sequence[int]
    deaths: int = 0
    """Workers that died over it."""


@dataclass(eq=False)
class Shards:
    """Cuts indices into batches as they are handed out, and gives answers back in that order.

    At most `ahead` batches are out or wait for an earlier one, so that little is lost when all is killed.
    """

    indices: Sequence[int]
    sizes: Iterator[int]
    ahead: int
    _cut: int = 0
    _next: int = 0
    _again: deque[Shard] = field(default_factory=deque)
    _ready: dict[int, BatchResult] = field(default_factory=dict)
    _written: int = 0

    def take(self) -> Shard | None:
        """Return the next batch to ask: one that was lost before any new one. None where none may be asked now."""
        if self._again:
            return self._again.popleft()
        if self._cut == len(self.indices) or self._next - self._written >= self.ahead:
            return None
        part = self.indices[self._cut : self._cut + next(self.sizes)]
        self._cut, self._next = self._cut + len(part), self._next + 1
        return Shard(self._next - 1, part)

    def lost(self, shards: Sequence[Shard]) -> None:
        """Take batches back that nobody answered."""
        self._again = deque(sorted([*self._again, *shards], key=lambda shard: shard.number))

    def answered(self, shard: Shard, found: BatchResult) -> Iterator[BatchResult]:
        """Take an answer in; yield those whose turn it is."""
        self._ready[shard.number] = found
        while self._written in self._ready:
            due = self._ready.pop(self._written)
            self._written += 1
            yield due

    @property
    def over(self) -> bool:
        """Has everything come back?"""
        return self._cut == len(self.indices) and self._written == self._next
