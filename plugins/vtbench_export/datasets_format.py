"""Tasks in, a dataset directory out that `datasets.load_dataset(DIR, TASK)` reads: Parquet, a card, Croissant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtbench_export.card import write_card
from vtbench_export.croissant import write_croissant
from vtbench_export.rows import Source
from vtbench_export.tables import write_table


def write_dataset(sources: Sequence[Source], directory: Path, shard_bytes: int) -> None:
    """Write `directory/TASK/SPLIT-00000-of-0000N.parquet`, README.md and croissant.json."""
    written = {
        source.task.name: write_table(source, directory / source.task.name, source.split, shard_bytes)
        for source in sources
    }
    globs = {source.task.name: f"{source.task.name}/{source.split}-*.parquet" for source in sources}
    write_card(directory, sources, globs, "parquet")
    write_croissant(directory, sources, written)
