"""Makes casts of cut-outs for natural scenes (`vtbench cutouts`): from COCO, from PNG files, from Tux Paint's stamps.

A source gives `Candidate`s; those that suit are written as PNG files with a cast.json, which a task names under
`scene.cast`. Importing this package imports neither numpy nor Pillow; using it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtbench
from vtbench.plugin import lazy_exports

if TYPE_CHECKING:
    import click

    from vtbench_cutouts.cast_writer import make_cast

__all__ = ["make_cast", "vtbench_commands"]


__getattr__ = lazy_exports(__name__, {"make_cast": "cast_writer"})


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench cutouts`."""
    from vtbench_cutouts.cli import cutouts

    app.add_command(cutouts)
