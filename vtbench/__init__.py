"""vtbench: what a vision-language model answers, and what its visual tokens carry."""

from __future__ import annotations

__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.results import RunResult

__all__ = ["__version__", "hookimpl", "run"]


def run(*args: Any, **fields: Any) -> RunResult:
    """Run a model on tasks: `vtbench.run(model="llava", tasks=["relational"])`; see `vtbench.loop.run`."""
    from vtbench.loop import run as run_loop

    return run_loop(*args, **fields)
