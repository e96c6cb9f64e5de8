"""vtbench's tasks for other people's tools (`vtbench export`): lm-eval, lmms-eval, `datasets`, `webdataset`.

In: tasks by name. Out: one directory that needs no network. `vtbench_export.scoring` is what lm-eval and lmms-eval call
to score its answers. Importing this package imports neither numpy nor pyarrow; using it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import vtbench

if TYPE_CHECKING:
    import click

    from vtbench_export.exporting import export

__all__ = ["IMAGE_SIZE", "export", "vtbench_commands"]

IMAGE_SIZE = 112
"""Side in pixels of drawn pictures where none is asked for: what the embedded model takes."""


def __getattr__(name: str) -> Any:
    """Import `export` when it is asked for."""
    if name != "export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.exporting").export


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench export`."""
    from vtbench_export.command import export

    app.add_command(export)
