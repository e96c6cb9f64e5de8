"""The executor `local`, registered as any plugin's is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.executor import Executor


def local(workers: int | None = None) -> Executor:
    """This machine: a run's model in this process, a study's jobs in processes beside it."""
    from vtbench.engine.local import Local

    return Local(workers)


@hookimpl
def vtbench_executors() -> dict[str, Callable[..., Executor]]:
    """The executor that every run has."""
    return {"local": local}
