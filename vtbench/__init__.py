"""vtbench: what a vision-language model answers, and what its visual tokens carry."""

from __future__ import annotations

__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.many import ManyResults
    from vtbench.results import RunResult

__all__ = ["__version__", "hookimpl", "run", "run_many"]


def run(*args: Any, **fields: Any) -> RunResult:
    """Run a model on tasks: `vtbench.run(model="llava", tasks=["relational"])`; see `vtbench.loop.run`."""
    from vtbench.loop import run as run_loop

    return run_loop(*args, **fields)


def run_many(*args: Any, **fields: Any) -> ManyResults:
    """Run several models on the same tasks: `vtbench.run_many(["llava", "hf"], tasks=["all"])`; see `vtbench.many`."""
    from vtbench.many import run_many as run_each

    return run_each(*args, **fields)
