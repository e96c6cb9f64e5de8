"""Writes the matrix and its page from fresh probes, and prints the totals: `make matrix`.

With model types as arguments it writes their rows alone.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
from matrix_row import fresh_row

from vtbench_hf import matrix

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"


@click.command()
@click.argument("model_types", nargs=-1)
@click.option("--workers", default=2, help="Processes that probe at the same time.")
def main(model_types: tuple[str, ...], workers: int) -> None:
    """Probe MODEL_TYPES, by default all that the installed transformers has, and write their rows."""
    from tiny_checkpoints import mapped_types

    known = mapped_types()
    rows = {row.model_type: row for row in matrix.read()} if model_types and matrix.PATH.exists() else {}
    with ProcessPoolExecutor(workers) as pool:
        for row in pool.map(fresh_row, model_types or known):
            rows[row.model_type] = row
            click.echo("  ".join(matrix.cells(row)))
            matrix.write(row for name, row in rows.items() if name in known)
    PAGE.write_text(matrix.with_table(PAGE.read_text(encoding="utf-8"), matrix.read()), encoding="utf-8")
    click.echo(matrix.totals(matrix.read()))


if __name__ == "__main__":
    main()
