"""Writes vtbench's tasks for other tools (`vtbench export`): lm-eval, lmms-eval, `datasets`, `webdataset`.

lm-eval and lmms-eval score the answers with `vtbench_export.scoring`. Importing this package imports neither numpy nor
pyarrow; using it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtbench
from vtbench.plugin import lazy_exports
from vtbench_export.defaults import IMAGE_SIZE

if TYPE_CHECKING:
    import click

    from vtbench_export.exporter import export

__all__ = ["IMAGE_SIZE", "export", "vtbench_commands"]


__getattr__ = lazy_exports(__name__, {"export": "exporter"})


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench export`."""
    from vtbench_export.cli import export

    app.add_command(export)
