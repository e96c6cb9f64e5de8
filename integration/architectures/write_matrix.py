"""Writes the matrix and its page from fresh probes, and prints the totals: `make matrix`.

With model types as arguments it writes their rows alone.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from vtbench_hf import matrix

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"


def fresh(model_type: str) -> matrix.Row:
    """Return the row of a type, from a checkpoint that is thrown away."""
    import torch
    import transformers
    from checkpoint_probe import probe

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        return probe(model_type, Path(directory))


@click.command()
@click.argument("model_types", nargs=-1)
@click.option("--workers", default=2, help="Processes that probe at the same time.")
def main(model_types: tuple[str, ...], workers: int) -> None:
    """Probe MODEL_TYPES, by default all that the installed transformers has, and write their rows."""
    from tiny_checkpoints import mapped_types

    known = mapped_types()
    rows = {row.model_type: row for row in matrix.read()} if model_types and matrix.PATH.exists() else {}
    with ProcessPoolExecutor(workers) as pool:
        for row in pool.map(fresh, model_types or known):
            rows[row.model_type] = row
            click.echo("  ".join(matrix.cells(row)))
            matrix.write(row for name, row in rows.items() if name in known)
    PAGE.write_text(matrix.with_table(PAGE.read_text(encoding="utf-8"), matrix.read()), encoding="utf-8")
    click.echo(matrix.totals(matrix.read()))


if __name__ == "__main__":
    main()
