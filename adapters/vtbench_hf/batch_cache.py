"""Values computed for the current batch, shared between `generate`, `rank` and `visual_tokens`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vtbench.types import Sample

T = TypeVar("T")


class BatchCache:
    """Holds what was computed for the last batch; the key is its prompts and the identity of its images.

    The images are held as long as the entries, so that their identity cannot become that of a later image.
    """

    def __init__(self) -> None:
        self._batch: tuple[tuple[str, tuple[Any, ...]], ...] = ()
        self._entries: dict[str, Any] = {}

    def enter(self, samples: Sequence[Sample]) -> None:
        """Make `samples` the current batch; drop all entries unless it is the current batch already."""
        same = len(samples) == len(self._batch) and all(
            sample.prompt == prompt
            and len(sample.images) == len(images)
            and all(a is b for a, b in zip(sample.images, images, strict=True))
            for sample, (prompt, images) in zip(samples, self._batch, strict=True)
        )
        if not same:
            self.clear()
            self._batch = tuple((sample.prompt, sample.images) for sample in samples)

    def get_or_compute(self, name: str, compute: Callable[[], T]) -> T:
        """Return the entry of that name; compute it at its first use in the batch."""
        if name not in self._entries:
            self._entries[name] = compute()
        entry: T = self._entries[name]
        return entry

    def put(self, name: str, entry: Any) -> None:
        """Store an entry."""
        self._entries[name] = entry

    def get(self, name: str) -> Any | None:
        """Return the entry of that name, or None where there is none."""
        return self._entries.get(name)

    def clear(self) -> None:
        """Drop the batch and all entries."""
        self._batch = ()
        self._entries.clear()
