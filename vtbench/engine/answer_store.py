"""The file of answers of `--cache DIR`: one SQLite database, which several processes read and write at once.

A file that cannot be used when a run begins ends the run in one line. What goes wrong later, a full disk for example,
costs the run nothing: the store is then neither read nor written, and says so once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock

from vtbench.errors import VtbenchError

FILE = "answers.sqlite3"
_APPLICATION = 0x76746263
"""`application_id` of the database, by which it is told from another program's."""
_WAIT = 60.0
"""Seconds to wait for another process to finish its write."""


class AnswerStore:
    """Texts by key, in a directory.

    Args:
        directory: made if it is not there.

    Raises:
        VtbenchError: it cannot be made or written, or its file is broken or another program's.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._lock, self._notes = Lock(), list[str]()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            # the rollback journal, unlike the write-ahead log, works on a network file system too
            self._database = sqlite3.connect(self.path, _WAIT, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise VtbenchError(
                f"--cache {directory}: {_reason(error)}; name a directory that can be written"
            ) from error
        self._open = True
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            cure = "remove it, or name another directory"
            raise VtbenchError(f"{self.path}: not usable as a cache of answers ({_reason(error)}); {cure}") from error
        except VtbenchError:
            self.close()
            raise

    def _prepare(self) -> None:
        """Make the table in a new file; refuse another program's file."""
        if self._number("PRAGMA application_id") == _APPLICATION:
            self._database.execute("SELECT key, output FROM answers LIMIT 1")
            return
        self._database.execute("BEGIN IMMEDIATE")  # of several processes, one makes the table
        try:
            if self._number("PRAGMA application_id") != _APPLICATION:
                if self._number("SELECT count(*) FROM sqlite_master"):
                    raise VtbenchError(f"{self.path}: another program's database; name another directory as --cache")
                self._database.execute(
                    "CREATE TABLE answers (key BLOB PRIMARY KEY, output TEXT NOT NULL) WITHOUT ROWID"
                )
                self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    def _number(self, query: str) -> int:
        found: int = self._database.execute(query).fetchone()[0]
        return found

    def get(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Return the stored texts of those keys that there are."""
        found: dict[bytes, str] = {}
        with self._lock:
            if not self._open:
                return found
            try:
                for key in keys:
                    if row := self._database.execute("SELECT output FROM answers WHERE key = ?", (key,)).fetchone():
                        found[key] = str(row[0])
            except sqlite3.Error as error:
                self._give_up(error)
        return found

    def put(self, texts: Mapping[bytes, str]) -> None:
        """Store texts, all or none; one that is there already stays."""
        with self._lock:
            if not (self._open and texts):
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    with closing(self._database.cursor()) as cursor:
                        cursor.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", texts.items())
                    self._database.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        self._database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        self._open = False
        self._notes.append(f"{self.path}: {_reason(error)}; this run uses the cache of answers no further")

    def take_notes(self) -> list[str]:
        """Return what went wrong, in one line each, and forget it."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Close the file."""
        self._open = False
        with suppress(sqlite3.Error):
            self._database.close()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
