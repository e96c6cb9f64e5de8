"""Out-of-memory errors of every backend in, one kind of error out; and what the last batch left to be used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from vtbench.types import Sample

T = TypeVar("T")

_SIGNS = ("not enough memory", "can't allocate memory", "out of memory")
"""How torch words it on CPUs and on other accelerators, where it has no class of its own."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def out_of_memory_as(kind: type[Exception], message: str) -> Iterator[None]:
    """Turn a backend's out-of-memory error into `kind(message)`."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise kind(message) from error
    except RuntimeError as error:
        if any(sign in str(error) for sign in _SIGNS):
            raise kind(message) from error
        raise


class BatchMemo:
    """What was computed for the last batch, known again by its prompts and by the identity of its pictures.

    The pictures are held as long as they are remembered, so an identity is never that of a later picture.
    """

    def __init__(self) -> None:
        self._batch: tuple[tuple[str, tuple[Any, ...]], ...] = ()
        self._parts: dict[str, Any] = {}

    def enter(self, samples: Sequence[Sample]) -> None:
        """Forget everything unless `samples` are the last batch again."""
        same = len(samples) == len(self._batch) and all(
            sample.prompt == prompt
            and len(sample.images) == len(images)
            and all(a is b for a, b in zip(sample.images, images, strict=True))
            for sample, (prompt, images) in zip(samples, self._batch, strict=True)
        )
        if not same:
            self.clear()
            self._batch = tuple((sample.prompt, sample.images) for sample in samples)

    def part(self, name: str, make: Callable[[], T]) -> T:
        """Return the part of that name, made once a batch."""
        if name not in self._parts:
            self._parts[name] = make()
        part: T = self._parts[name]
        return part

    def keep(self, name: str, part: Any) -> None:
        """Remember a part that came up on the way."""
        self._parts[name] = part

    def known(self, name: str) -> Any | None:
        """Return the part of that name, None where it was not made."""
        return self._parts.get(name)

    def clear(self) -> None:
        """Forget the batch."""
        self._batch = ()
        self._parts.clear()
