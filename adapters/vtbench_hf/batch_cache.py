"""Values computed for the current batch, shared between `generate`, `rank` and `visual_tokens`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vtbench.types import Sample

T = TypeVar("T")


class BatchCache:
    """Holds what was computed for the last batch; the key is its chats, with the identity of their images.

    The images are held as long as the entries, so that their identity cannot become that of a later image. Repeats of
    a question share their entries.
    """

    def __init__(self) -> None:
        self._batch: tuple[Sample, ...] = ()
        self._entries: dict[str, Any] = {}

    def enter(self, samples: Sequence[Sample]) -> None:
        """Make `samples` the current batch; drop all entries unless it is the current batch already."""
        if len(samples) != len(self._batch) or not all(map(_same_chat, samples, self._batch)):
            self.clear()
            self._batch = tuple(samples)

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


def _same_chat(one: Sample, other: Sample) -> bool:
    """Whether two samples are sent as the same prompt with the same images."""
    return (
        (one.prompt, one.system, one.multiturn) == (other.prompt, other.system, other.multiturn)
        and len(one.images) == len(other.images)
        and all(a is b for a, b in zip(one.images, other.images, strict=True))
        and len(one.examples) == len(other.examples)
        and all(
            _same_chat(a, b) and (a.answer or a.target) == (b.answer or b.target)
            for a, b in zip(one.examples, other.examples, strict=True)
        )
    )
