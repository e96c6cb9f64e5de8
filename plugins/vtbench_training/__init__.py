"""Training plugin: pretrains the small models that ship (`vtbench pretrain`), fine-tunes models (`vtbench train`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench pretrain` and `vtbench train`."""
    from vtbench_training.cli import pretrain, train

    app.add_command(pretrain)
    app.add_command(train)
