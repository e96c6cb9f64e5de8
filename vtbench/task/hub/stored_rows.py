"""Rows of one split, as `datasets` stores them: an image is `{bytes, path}` and is opened by whoever uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.errors import SampleError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class StoredRows:
    """Rows of one split."""

    rows: Sequence[Row]
    """A `datasets.Dataset`, or what a task's own code made."""
    columns: tuple[str, ...]
    folder: Path
    """What relative image paths are relative to."""
    fingerprint: Callable[[], str]
    """Returns the sha256 of the files that hold the rows, or the commit of a hub data set."""
    commit: str = ""
    """Commit of a hub data set; empty for local data."""
    split: str = ""
    image_columns: frozenset[str] = frozenset()
    """Columns of undecoded images, `{bytes, path}` or lists of them."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        """Return one row, whose cells are read when they are used.

        Raises:
            SampleError: the row cannot be read.
        """
        try:
            return self.rows[index]
        except Exception as problem:  # a damaged file in the cache
            text = " ".join(str(problem).split())[:300] or type(problem).__name__
            raise SampleError(f"cannot be read: {text}") from None

    def has_paths(self, name: str) -> bool:
        """Return whether the cells of a column may name files: texts may; images are part of the fingerprint."""
        features: Mapping[str, Any] = getattr(self.rows, "features", None) or {}
        inner: Any = features.get(name)
        while hasattr(inner, "feature"):
            inner = inner.feature
        return getattr(inner, "dtype", None) in ("string", "large_string")

    def column(self, name: str) -> Iterator[Any]:
        """Yield the cells of one column, in the order of the rows."""
        return iter(self.rows[name])  # type: ignore[call-overload]
