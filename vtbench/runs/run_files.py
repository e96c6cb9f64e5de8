"""The append-only files of a run: unbuffered, one of them locked, and lines taken out again."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from vtbench.runs.disk import disk, lock, publish_file, sync_file
from vtbench.runs.jsonl import without

_TRIES = 20
"""Times that a file is opened which its holder replaces each time."""


class RunFiles:
    """Files that lines are appended to, opened when they are first written."""

    def __init__(self) -> None:
        self._files: dict[Path, FileIO] = {}

    def lock(self, path: Path) -> bool:
        """Open a file and lock it against other processes until `close`; False where one of them holds it."""
        with disk(path):
            locked = _open_locked(path)
        if locked is None:
            return False
        self._files[path] = locked
        return True

    def append(self, path: Path, lines: Iterable[str]) -> None:
        """Append lines, which have no newline, in one write."""
        with disk(path):
            if path not in self._files:
                self._files[path] = FileIO(path, "ab")
            _write_all(self._files[path], "".join(line + "\n" for line in lines).encode())

    def drop(self, path: Path, numbers: Collection[int]) -> None:
        """Take lines out of a file: at its end in place, elsewhere by an atomic rewrite under the same lock."""
        if not numbers:
            return
        with disk(path):
            head, rest = without(path, set(numbers))
            kept = next(rest, None)
            if kept is None:
                os.truncate(path, head)
                return
            temporary = path.with_name(path.name + ".tmp")
            temporary.unlink(missing_ok=True)
            new = FileIO(temporary, "ab")
            lock(new)  # before the file has its name: whoever opens it there finds it locked
            with path.open("rb") as old:
                _write_all(new, old.read(head))
            _write_all(new, kept)
            for raw in rest:
                _write_all(new, raw)
            publish_file(temporary, path, durable=True)
            if path in self._files:
                self._files[path].close()
            self._files[path] = new

    def sync(self, leave_out: Path) -> None:
        """Write all open files but one through to the disk."""
        for path in self._files.keys() - {leave_out}:
            sync_file(path)

    def close(self) -> None:
        """Close all files, which gives the lock back."""
        for path, file in self._files.items():
            with disk(path):
                file.close()
        self._files.clear()


def _open_locked(path: Path) -> FileIO | None:
    """Open a file for appending and lock it; None where another process holds the lock.

    A file that its holder has replaced in between is opened again: a lock on a file without a name excludes nobody.
    """
    for _ in range(_TRIES):
        file = FileIO(path, "ab")
        if not lock(file):
            file.close()
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
    return None


def _write_all(file: FileIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:  # the file is unbuffered: on a nearly full disk, `write` may take only a part
        rest = rest[file.write(rest) or 0 :]
