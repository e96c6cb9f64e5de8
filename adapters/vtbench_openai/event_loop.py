"""Concurrent coroutines for synchronous callers.

The event loop runs in a thread of its own, so the adapter also works in a notebook, where a loop is running already.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from vtbench.errors import OutOfMemory, SampleError, VtbenchError, one_line

T = TypeVar("T")
Item = TypeVar("Item")


class EventLoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vtbench-openai", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and return its result. Ctrl-C in the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and join the thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def gather_outcomes(function: Callable[[Item], Awaitable[T]], items: Sequence[Item]) -> list[T | SampleError]:
    """Apply a coroutine function to all items concurrently and return a result or a `SampleError` for each.

    An error that is no `VtbenchError` becomes a `SampleError` too: what others were answered is kept. A `VtbenchError`
    that concerns the whole run cancels the calls that are still pending.
    """

    async def outcome(item: Item) -> T | SampleError:
        try:
            return await function(item)
        except SampleError as error:
            return error
        except (VtbenchError, OutOfMemory):
            raise
        except Exception as error:
            return SampleError(one_line(error))

    tasks = [asyncio.ensure_future(outcome(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
