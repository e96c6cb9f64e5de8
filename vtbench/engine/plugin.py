"""The plugin that brings the executor `local`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.executor import Executor


def local(workers: int | None = None) -> Executor:
    """This machine: local:workers=N runs N copies of a run's model, one a GPU, or N of a study's jobs at a time."""
    from vtbench.engine.local import Local

    return Local(workers)


@hookimpl
def vtbench_executors() -> dict[str, Callable[..., Executor]]:
    """Return the built-in executor."""
    return {"local": local}
