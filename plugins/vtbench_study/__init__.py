"""The study: does what a model is trained on decide how redundant its visual tokens are? `vtbench study`.

Families, mixes and penalties are trained from one base, every model is measured in the same way, and the paper's table
is written again with the numbers that come out. Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench study`."""
    from vtbench_study.command import study

    app.add_command(study)
