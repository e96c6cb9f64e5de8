"""Rows with the columns of another table, looked up by a key: questions whose images stand in a configuration apart."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import Any

from vtbench.errors import SampleError
from vtbench.task.hub.joined_rows import JoinedRows
from vtbench.task.hub.stored_rows import Row


class LookedUpRows:
    """Rows, each with the columns of the row of another table that has its key.

    Args:
        rows: the questions.
        table: what is looked up in; its columns come behind those of the rows, which hide those of the same name.
        column: column of the rows that holds the key.
        key: column of the table that holds it too.
    """

    def __init__(self, rows: JoinedRows, table: JoinedRows, column: str, key: str) -> None:
        self._rows, self._table, self._column, self._key = rows, table, column, key
        self._places = {value: index for index, value in enumerate(table.column(key))}
        self.columns = tuple(dict.fromkeys((*rows.columns, *table.columns)))
        self.folder = table.folder

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        """Return one row.

        Raises:
            SampleError: the table has no row of this key, or one of both rows cannot be read.
        """
        row = self._rows[index]
        return ChainMap(row, self._table[self._place(row[self._column])])  # type: ignore[arg-type]

    def _place(self, value: Any) -> int:
        if value not in self._places:
            raise SampleError(f"{self._column!r} {value!r} is no {self._key!r} of the table that `join` names")
        return self._places[value]

    def has_paths(self, name: str) -> bool:
        """Return whether the cells of a column may name files."""
        return (self._rows if name in self._rows.columns else self._table).has_paths(name)

    def column(self, name: str) -> Iterator[Any]:
        """Yield the cells of one column, in the order of the rows; None for a key that the table does not have."""
        if name in self._rows.columns:
            return self._rows.column(name)
        cells = list(self._table.column(name))
        places = (self._places.get(value) for value in self._rows.column(self._column))
        return (None if place is None else cells[place] for place in places)

    def digests(self) -> dict[str, Any]:
        """Return what tells the rows and the table from changed ones."""
        return {**self._rows.digests(), **{f"joined_{key}": value for key, value in self._table.digests().items()}}
