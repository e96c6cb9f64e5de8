"""The plugin that brings the executor `local`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.executor import Executor


def local(workers: int | None = None) -> Executor:
    """This machine: a run's model in this process, a study's jobs in child processes."""
    from vtbench.engine.local import Local

    return Local(workers)


@hookimpl
def vtbench_executors() -> dict[str, Callable[..., Executor]]:
    """Return the built-in executor."""
    return {"local": local}
