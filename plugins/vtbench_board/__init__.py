"""`vtbench board`: a static site with the leaderboards of all finished runs in a folder.

It reads stored runs only; no model is queried. Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtbench

if TYPE_CHECKING:
    import click


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench board`."""
    from vtbench_board.cli import board

    app.add_command(board)
