"""Asks about the samples of a batch together; where that fails, in smaller parts, so that only the faulty ones fail."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

from vtbench.engine.batching import Failure
from vtbench.errors import AdapterError, ModelUnavailable, OutOfMemory, SampleError, VtbenchError

T = TypeVar("T")


def in_parts(
    rows: Sequence[int], ask: Callable[[Sequence[int]], T], alone: bool, kind: Callable[[int], Hashable] = lambda row: 0
) -> Iterator[tuple[Sequence[int], T | Failure]]:
    """Ask about samples of a batch together; if that fails, about those of each kind; and if that fails, about each.

    It is for what costs no answer: what an adapter may not return is a failure like any other.

    Args:
        rows: places of the samples in the batch.
        ask: about some of them.
        alone: whether the batch is of one sample, so that no smaller one could be tried.
        kind: of a sample.

    Yields:
        Rows with what `ask` returned; of a single row, possibly why it failed.

    Raises:
        OutOfMemory: of a batch of several samples.
        ModelUnavailable: the model is gone.
        VtbenchError: an error of the whole run (other than a `SampleError` or an `AdapterError`).
    """
    if not rows:
        return
    try:
        found = ask(rows)
    except OutOfMemory as error:
        if not alone:
            raise
        failed = Failure(error)
    except VtbenchError as error:
        if isinstance(error, ModelUnavailable) or not isinstance(error, SampleError | AdapterError):
            raise
        failed = Failure(error)
    except Exception as error:  # an adapter or a metric may fail on a sample in any way; the record has the error
        failed = Failure(error)
    else:
        yield rows, found
        return
    if len(rows) == 1:
        yield rows, failed
        return
    kinds: dict[Hashable, list[int]] = {}
    for row in rows:
        kinds.setdefault(kind(row), []).append(row)
    for part in kinds.values() if len(kinds) > 1 else [[row] for row in rows]:
        yield from in_parts(part, ask, alone, kind)
