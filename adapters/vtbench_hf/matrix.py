"""The matrix of transformers' image-text model types: what vtbench can do with each, as it was tried out.

`make matrix` writes `matrix.csv` beside this file, from a tiny checkpoint of every type; `make architectures` fails
where a fresh probe says something else.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

PATH = Path(__file__).with_name("matrix.csv")
NO = "no"
FAMILY, ANY, REFUSED, UNTRIED = "family", "any", "refused", "untried"


@dataclass(frozen=True, slots=True)
class Row:
    """One model type. A column says `yes` or what there is, or `no`; then `why` has the reason."""

    model_type: str
    adapter: str
    """The `--model` that takes it; empty where there is no tiny checkpoint of the type."""
    served: str = UNTRIED
    """`family`: by code of its own; `any`: as any checkpoint; `refused`; `untried`: there is no tiny checkpoint."""
    loads: str = NO
    generates: str = NO
    """Greedy answers are those of plain transformers, token for token."""
    ranks: str = NO
    """Log-probabilities are those of one forward pass."""
    tokens: str = NO
    """How many visual tokens the probe's image has."""
    layers: str = NO
    """In how many of the decoder's layers they can be taken."""
    boxes: str = NO
    """Where the tokens' places in the image come from."""
    budgets: str = NO
    """Keeping every token is the whole image; dropping some is masking them."""
    trains: str = NO
    """A training step gives every part a gradient."""
    why: str = ""
    """`column: reason`, separated by semicolons."""


COLUMNS = tuple(field.name for field in fields(Row))
TRIED = tuple(name for name in COLUMNS if name not in ("model_type", "adapter", "served", "why"))
"""The columns that a probe fills."""


def read(path: Path = PATH) -> list[Row]:
    """Return the rows, in the order of the types' names."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def write(rows: Iterable[Row], path: Path = PATH) -> None:
    """Write the rows in the order of the types' names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, sorted(rows, key=lambda row: row.model_type)))


def cells(row: Row) -> list[str]:
    """Return the texts of a row's columns; reasons that several columns share are given once."""
    reasons: dict[str, list[str]] = {}
    for part in filter(None, row.why.split("; ")):
        column, _, reason = part.partition(": ")
        reasons.setdefault(reason, []).append(column)
    why = "; ".join(f"{', '.join(columns)}: {reason}" for reason, columns in reasons.items())
    return [*(getattr(row, name) for name in COLUMNS[:-1]), why]


def shares(rows: Sequence[Row]) -> dict[str, float]:
    """Return the share of the types that have each column, in per cent."""
    return {name: 100 * sum(getattr(row, name) != NO for row in rows) / len(rows) for name in TRIED}


def totals(rows: Sequence[Row]) -> str:
    """Return one line with the shares."""
    found = shares(rows).items()
    return f"of {len(rows)} model types: " + ", ".join(f"{name} {share:.0f} %" for name, share in found)


def listing() -> tuple[list[dict[str, str]], str]:
    """Return the committed rows, for people, and the line of totals: what `vtbench ls models --matrix` prints."""
    rows = read()
    return [dict(zip(COLUMNS, cells(row), strict=True)) for row in rows], totals(rows)


def with_table(page: str, rows: Sequence[Row]) -> str:
    """Return a page of Markdown with the table of the rows between its two marks."""
    before, start, rest = page.partition("<!-- matrix -->\n")
    _, end, after = rest.partition("<!-- end of matrix -->")
    return f"{before}{start}{_markdown(rows)}\n{end}{after}"


def _markdown(rows: Sequence[Row]) -> str:
    table = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, rows)]
    lines = ["| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in table]
    total = totals(rows)
    return "\n".join([*lines, "", f"{total[0].upper()}{total[1:]}."])
