"""`vtbench study`: does the training task decide how redundant a model's visual tokens are?

The study fine-tunes one base on each task family, on mixes and under redundancy penalties, measures every model in the
same way, and writes the paper's table with the measured numbers. Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench study`."""
    from vtbench_study.cli import study

    app.add_command(study)
