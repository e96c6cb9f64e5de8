"""Writes the directory of a run, results/<run-id>/, during the run.

    run.json        config, digest, versions, model, tasks
    batches.jsonl   one line per batch, before its samples: which samples it had, and how long it took
    samples.jsonl   one line per sample, as it finishes
    visual/         <task>.<metric>.jsonl: arrays of observations, each line before its sample's line;
                    <task>.<metric>.basis.npz: fitted state of a visual metric;
                    <task>.previews: thumbnails for the report
    results.json    scores, in the layout of lm-eval's results
    report.html     the report

A killed run leaves at most one incomplete last line in each file, which is dropped when the run is opened again. The
JSON is strict, and no file contains a string that was given as a secret.
"""

from __future__ import annotations

import errno
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from vtbench.errors import ResultsError
from vtbench.report.previews import PreviewWriter, previews_path
from vtbench.runs.provenance import HIDDEN, differing, strict
from vtbench.runs.reader import encode, lines, read_records, read_run, runs
from vtbench.types import Observation, Preview, Record

_SHORTEST_SECRET = 6
"""Shorter secrets are hidden by their key only: replacing them everywhere would also hit ordinary words."""


class RunWriter:
    """One run's directory, open for writing.

    Args:
        path: the directory, which exists.
        run: the contents of run.json.
        hidden: strings that must not reach any file.
    """

    def __init__(self, path: Path, run: dict[str, Any], hidden: frozenset[str] = frozenset()) -> None:
        self.path, self.run = path, run
        self._hidden = sorted((s for s in hidden if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._files: dict[Path, FileIO] = {}
        self._previews: dict[str, PreviewWriter] = {}
        with disk(path):
            (path / "visual").mkdir(exist_ok=True)
            for file in (path / "samples.jsonl", path / "batches.jsonl", *(path / "visual").glob("*.jsonl")):
                _drop_torn_line(file)
        if not lock(self._file(path / "samples.jsonl")):
            raise ResultsError(f"{path}: another process is writing this run; wait for it, or leave --resume out")
        self.done: dict[str, set[int]] = defaultdict(set)
        """Indices of the stored samples, by task."""
        for line in lines(path / "samples.jsonl"):
            self.done[line["task"]].add(line["index"])

    @classmethod
    def open(
        cls, parent: Path, resume: bool | str, run: dict[str, Any], hidden: frozenset[str] = frozenset()
    ) -> RunWriter:
        """Make a new run directory in `parent`, or open the one to resume.

        Args:
            parent: directory of runs.
            resume: False for a new run, True for the newest run in `parent` with the digest of `run`, or a run's path.
            run: content of run.json for a new run.
            hidden: strings that must not reach any file.

        Raises:
            ResultsError: the directory is not writable, or there is no such run; the message names the keys in which
                the most similar run differs.
        """
        if not resume:
            path = _new_directory(parent, run["run_id"])
            writer = cls(path, run, hidden)
            writer.update(run_id=path.name)
            return writer
        found = [read_run(Path(resume))] if isinstance(resume, str) else runs(parent)
        same = [other for other in found if other["digest"] == run["digest"]]
        if same:
            return cls(Path(same[0]["path"]), same[0], hidden)
        if not found:
            raise ResultsError(f"{parent}: no run here to resume; leave --resume out to start one")
        nearest = min(found, key=lambda other: len(differing(run["keys"], other["keys"])))
        keys = ", ".join(differing(run["keys"], nearest["keys"]))
        raise ResultsError(
            f"{nearest['path']}: a run of another config, which differs in {keys}; "
            "give these the same values, or leave --resume out to start a new run"
        )

    def _file(self, path: Path) -> FileIO:
        if path not in self._files:
            with disk(path):
                self._files[path] = FileIO(path, "ab")
        return self._files[path]

    def _text(self, value: Any, indent: int | None = None) -> str:
        text = json.dumps(strict(value), ensure_ascii=False, allow_nan=False, indent=indent)
        for secret in self._hidden:
            for form in (json.dumps(secret, ensure_ascii=False)[1:-1], secret):
                text = text.replace(form, HIDDEN)
        return text

    def _write_lines(self, path: Path, values: Iterable[Any]) -> None:
        file = self._file(path)
        rest = "".join(self._text(value) + "\n" for value in values).encode()
        with disk(path):
            while rest:  # the file is unbuffered: on a nearly full disk, `write` may take only a part
                rest = rest[file.write(rest) or 0 :]

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file atomically."""
        write_file(self.path / name, self._text(value, indent=2) + "\n")

    def update(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.run |= facts
        self.write("run.json", {key: value for key, value in self.run.items() if key != "path"})

    def batch(self, task: str, start: int, size: int, seconds: float, out_of_memory: list[int]) -> None:
        """Record a batch, before its samples are written."""
        line = {"task": task, "start": start, "size": size, "seconds": round(seconds, 6)}
        halved = {"out_of_memory": out_of_memory} if out_of_memory else {}
        self._write_lines(self.path / "batches.jsonl", [line | halved])

    def batches(self) -> list[dict[str, Any]]:
        """Return the recorded batches in order."""
        return list(lines(self.path / "batches.jsonl"))

    def append(self, records: Iterable[Record]) -> None:
        """Write samples, their arrays first. Samples that are already stored are skipped."""
        new = [record for record in records if record.index not in self.done[record.task]]
        arrays: dict[Path, list[Any]] = defaultdict(list)
        samples = []
        for record in new:
            scores: dict[str, Observation] = {}
            for metric, observation in record.scores.items():
                coded = {key: encode(value) for key, value in observation.items() if isinstance(value, np.ndarray)}
                scores[metric] = {key: value for key, value in observation.items() if key not in coded}
                if coded:
                    line = {"index": record.index, "arrays": coded}
                    arrays[self._visual(record.task, metric, "jsonl")].append(line)
            samples.append({f.name: getattr(record, f.name) for f in fields(record)} | {"scores": scores})
        for path, lines_of_path in arrays.items():
            self._write_lines(path, lines_of_path)
        self._write_lines(self.path / "samples.jsonl", samples)
        for record in new:
            self.done[record.task].add(record.index)

    def _visual(self, task: str, metric: str, ending: str) -> Path:
        return self.path / "visual" / f"{quote(task, safe='')}.{quote(metric, safe='')}.{ending}"

    def append_previews(self, task: str, previews: Sequence[Preview]) -> None:
        """Write the previews of samples."""
        if not previews:
            return
        with disk(previews_path(self.path, task)):
            if task not in self._previews:
                self._previews[task] = PreviewWriter(self.path, task)
            self._previews[task].append(previews)

    def records(self, task: str) -> list[Record]:
        """Return the task's records sorted by index, with the arrays of their observations."""
        return sorted(read_records(self.path, task), key=lambda record: record.index)

    def save_state(self, task: str, metric: str, state: Mapping[str, np.ndarray]) -> None:
        """Write the fitted state of a visual metric atomically."""
        path = self._visual(task, metric, "basis.npz")
        temporary = path.with_name(path.name + ".tmp")
        with disk(path):
            with temporary.open("wb") as file:
                arrays: dict[str, Any] = {key: np.asarray(value) for key, value in state.items()}
                np.savez(file, **arrays)
            temporary.replace(path)

    def state(self, task: str, metric: str) -> dict[str, np.ndarray] | None:
        """Return the stored state of a visual metric; None if there is none yet."""
        path = self._visual(task, metric, "basis.npz")
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    def close(self) -> None:
        """Close all files."""
        for path, file in self._files.items():
            with disk(path):
                file.close()
        self._files.clear()
        for writer in self._previews.values():
            writer.close()
        self._previews.clear()


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn an `OSError` about a file into a `ResultsError` of one line."""
    try:
        yield
    except OSError as error:
        what = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "your disk quota is used up",
            errno.EACCES: "no permission to write here; choose another --output",
            errno.EPERM: "no permission to write here; choose another --output",
            errno.EROFS: "the file system is read-only; choose another --output",
            errno.ENOTDIR: "a part of this path is a file, not a directory; choose another --output",
            errno.EEXIST: "this is a file, not a directory; choose another --output",
        }.get(error.errno or 0, error.strerror or str(error))
        kept = "; finished samples are kept, --resume continues" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise ResultsError(f"{path}: {what}{kept}") from error


def write_file(path: Path, text: str) -> Path:
    """Write a file atomically (through a temporary file), and return its path."""
    with disk(path):
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))  # of a lone surrogate: its escape in JSON
        temporary.replace(path)
    return path


def _new_directory(parent: Path, name: str) -> Path:
    """Make the directory `parent/name`, with a number appended if it exists."""
    with disk(parent):
        parent.mkdir(parents=True, exist_ok=True)
        n = 1
        while True:
            path = parent / (name if n == 1 else f"{name}-{n}")
            try:
                path.mkdir()
                return path
            except FileExistsError:
                n += 1


def _drop_torn_line(path: Path) -> None:
    """Truncate an incomplete last line, and trailing lines with zero bytes (from a crash of the machine)."""
    if not path.exists() or not path.stat().st_size:
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    while whole and b"\0" in (last := whole[whole.rfind(b"\n", 0, -1) + 1 :]):
        whole = whole[: -len(last)]
    if len(whole) != len(content):
        os.truncate(path, len(whole))


def lock(file: FileIO | int) -> bool:
    """Lock an open file or directory against other processes; a killed process leaves no lock.

    Returns:
        False where another process holds it; True where it is locked now, or where there are no locks.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
