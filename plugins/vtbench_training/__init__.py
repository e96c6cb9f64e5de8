"""Training plugin: makes the embedded model from nothing (`vtbench pretrain`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench pretrain`."""
    from vtbench_training.command import pretrain

    app.add_command(pretrain)
