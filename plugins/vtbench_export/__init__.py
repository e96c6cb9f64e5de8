"""Writes vtbench's tasks for other tools (`vtbench export`): lm-eval, lmms-eval, `datasets`, `webdataset`.

lm-eval and lmms-eval score the answers with `vtbench_export.scoring`. Importing this package imports neither numpy nor
pyarrow; using it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import vtbench
from vtbench_export.defaults import IMAGE_SIZE

if TYPE_CHECKING:
    import click

    from vtbench_export.exporter import export

__all__ = ["IMAGE_SIZE", "export", "vtbench_commands"]


def __getattr__(name: str) -> Any:
    """Import `export` on first access."""
    if name != "export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.exporter").export


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench export`."""
    from vtbench_export.cli import export

    app.add_command(export)
