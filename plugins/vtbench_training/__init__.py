"""Training plugin: makes the embedded model from nothing (`vtbench pretrain`), fine-tunes models (`vtbench train`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench pretrain` and `vtbench train`."""
    from vtbench_training.command import pretrain
    from vtbench_training.train_command import train

    app.add_command(pretrain)
    app.add_command(train)
