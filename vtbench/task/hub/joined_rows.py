"""Splits and configurations of one data set as one sequence of rows, each with where it is from."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from typing import Any

from vtbench.task.hub.stored_rows import Row, StoredRows

SPLIT, CONFIG = "@split", "@config"
"""Columns, beside those of the data, with the split and the configuration of each row."""


class JoinedRows:
    """Rows of several splits, one after the other.

    Args:
        parts: each with the configuration that it is of.
        as_stored: columns whose class labels stay numbers; those of others become the names of the classes.
    """

    def __init__(self, parts: Sequence[tuple[str, StoredRows]], as_stored: Sequence[str] = ()) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for _, part in parts))
        self._classes = [_class_names(part, as_stored) for _, part in parts]
        self._origins = [{SPLIT: part.split, CONFIG: config} for config, part in parts]
        self.columns = tuple(dict.fromkeys([name for _, part in parts for name in part.columns] + [SPLIT, CONFIG]))
        self.folder = parts[0][1].folder

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Row:
        """Return one row.

        Raises:
            SampleError: the row cannot be read.
        """
        number = bisect_right(self._ends, index)
        _, part = self._parts[number]
        row = part[index - (self._ends[number - 1] if number else 0)]
        above: dict[str, Any] = {**self._origins[number]}
        for name, names in self._classes[number].items():
            above[name] = _class_name(row[name], names)
        return ChainMap(above, row)  # type: ignore[arg-type]

    def has_paths(self, name: str) -> bool:
        """Return whether the cells of a column may name files."""
        return any(part.has_paths(name) for _, part in self._parts)

    def column(self, name: str) -> Iterator[Any]:
        """Yield the cells of one column, in the order of the rows; None for a split that has no such column."""
        for (_, part), origin, classes in zip(self._parts, self._origins, self._classes, strict=True):
            if name in origin:
                yield from repeat(origin[name], len(part))
            elif name in part.columns:
                names = classes.get(name)
                yield from (_class_name(cell, names) if names else cell for cell in part.column(name))
            else:
                yield from repeat(None, len(part))

    def digests(self) -> dict[str, Any]:
        """Return what tells the rows from changed ones: the commit of the hub data set, or the sha256 of the files."""
        commits = sorted({part.commit for _, part in self._parts if part.commit})
        if commits:
            return {"data_commit": "+".join(commits)}
        found = [part.fingerprint() for _, part in self._parts]
        whole = found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()
        return {"data_sha256": whole}


def _class_names(part: StoredRows, as_stored: Sequence[str]) -> dict[str, list[str]]:
    features: Mapping[str, Any] = getattr(part.rows, "features", None) or {}
    labels = {name: f for name, f in features.items() if type(f).__name__ == "ClassLabel" and name not in as_stored}
    return {name: list(feature.names) for name, feature in labels.items()}


def _class_name(value: Any, names: Sequence[str]) -> Any:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value
