"""What is asked of the `datasets` library, and how a fault of it is told to the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vtbench.errors import TaskError

Part = Literal["source", "config", "revision", "split", "files"]
"""What of a request is at fault; whoever asks knows by which key of which file it came."""

FILE_FORMATS = ("parquet", "arrow", "csv", "json", "imagefolder")
"""Sources that name a reader of `datasets`; its files are in `data_files` or `data_dir`."""


@dataclass(frozen=True)
class SplitRequest:
    """One split of a data set."""

    source: str
    """The name of a hub data set, a directory relative to `folder`, or one of `FILE_FORMATS`."""
    folder: Path
    """What relative paths are relative to."""
    split: str | None
    """Its name; None for the only one that there is."""
    fail: Callable[[str, Part], TaskError]
    """Makes the error of a message, with the place of what is at fault."""
    config: str | None = None
    """Which configuration of a data set that has several."""
    revision: str | None = None
    """Commit, branch or tag of a hub data set; None for `main`."""
    data_files: Any = None
    """Paths or globs, a list of them, or these by split."""
    data_dir: str = ""
    """Folder of the files, relative to `folder`."""
    reader: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the reader: `field` of json, `sep` of csv."""

    def select(self, splits: Mapping[str, Any]) -> str:
        """Return the name of the split, one of those that the data has.

        Raises:
            TaskError: there is no such split, or several and none is named.
        """
        names = list(map(str, splits))
        if self.split in names:
            return str(self.split)
        found = f"the data has {', '.join(map(repr, names)) or 'no splits'}"
        if self.split is None:
            if len(names) == 1:
                return names[0]
            raise self.fail(f"name the split to read; {found}", "split")
        raise self.fail(f"no split {self.split!r}; {found}", "split")
