"""Writes a tiny checkpoint: `python -m tiny_checkpoints build TYPE DIRECTORY`; `ls` names the types."""

from __future__ import annotations

from pathlib import Path

import click

import tiny_checkpoints


@click.group()
def main() -> None:
    """Tiny checkpoints with random weights."""


@main.command()
@click.argument("model_type", type=click.Choice(tiny_checkpoints.MODEL_TYPES))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def build(model_type: str, directory: Path) -> None:
    """Write a checkpoint of MODEL_TYPE into DIRECTORY."""
    click.echo(tiny_checkpoints.save(model_type, directory))


@main.command()
def ls() -> None:
    """Print the model types."""
    click.echo("\n".join(tiny_checkpoints.MODEL_TYPES))


if __name__ == "__main__":
    main()
