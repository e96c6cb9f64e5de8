"""The matrix of transformers' image-text model types: what vtbench can do with each, as it was tried out.

`make matrix` writes `matrix.csv` beside this file from a tiny checkpoint of every type; `make architectures` fails where
a fresh probe says something else.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

PATH = Path(__file__).with_name("matrix.csv")
SHARES = ("loads", "generates", "ranks", "tokens", "layers", "boxes", "budgets", "trains")
"""Columns whose share of all types is given."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model type. A column is `yes`, what there is, or `no`; `why` has a reason for every `no`."""

    model_type: str
    adapter: str
    """The `--model` that takes it; empty where nothing was tried."""
    loads: str = "no"
    generates: str = "no"
    """Greedy answers are those of plain transformers, token for token."""
    ranks: str = "no"
    """Log-probabilities are those of one forward pass."""
    tokens: str = "no"
    """How many visual tokens the probe's image has."""
    layers: str = "no"
    """In how many of the decoder's layers they can be taken."""
    boxes: str = "no"
    """Where the tokens' places in the image come from."""
    budgets: str = "no"
    """Keeping every token is the whole image, dropping some is masking them."""
    trains: str = "no"
    """A training step gives every part a gradient."""
    why: str = ""


COLUMNS = tuple(field.name for field in fields(Row))


def read(path: Path = PATH) -> list[Row]:
    """Return the rows, in the order of the types' names."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def write(rows: Iterable[Row], path: Path = PATH) -> None:
    """Write the rows in the order of the types' names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, name) for name in COLUMNS] for row in sorted(rows, key=lambda r: r.model_type))


def shares(rows: Sequence[Row]) -> dict[str, float]:
    """Return the share of the types that have each column, in per cent."""
    return {name: 100 * sum(getattr(row, name) != "no" for row in rows) / len(rows) for name in SHARES}
