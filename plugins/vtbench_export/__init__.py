"""Writes for other tools (`vtbench export`): tasks for lm-eval, lmms-eval, `datasets`, `webdataset`; runs for Inspect.

lm-eval and lmms-eval score the answers with `vtbench_export.scoring`. Importing this package imports neither numpy nor
pyarrow nor inspect_ai; using it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtbench
from vtbench.plugin import lazy_exports
from vtbench_export.defaults import IMAGE_SIZE

if TYPE_CHECKING:
    import click

    from vtbench_export.exporter import export
    from vtbench_export.run_exporter import export_run

__all__ = ["IMAGE_SIZE", "export", "export_run", "vtbench_commands"]


__getattr__ = lazy_exports(__name__, {"export": "exporter", "export_run": "run_exporter"})


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench export`."""
    from vtbench_export.cli import export

    app.add_command(export)
