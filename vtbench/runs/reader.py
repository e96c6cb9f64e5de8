"""Reads the directory of a run, without a model and without write access; writer.py documents the files."""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from vtbench.errors import ResultsError
from vtbench.runs.json_file import read_object
from vtbench.runs.jsonl import Line, lines
from vtbench.runs.shape import RESULTS, RUN, mismatch
from vtbench.types import Record

LONGEST = 240
"""Bytes of a file's name without its ending; file systems take 255 with it."""
_UNKNOWN: Mapping[str, Any] = {
    "created": "",
    "git": None,
    "versions": {"vtbench": "of an unknown version", "plugins": {}, "platform": "unknown"},
}
"""What a run.json may lack."""
_TEXTS, _KNOWN = ("task", "id", "prompt", "target"), frozenset(f.name for f in fields(Record))


def read_run(path: Path) -> dict[str, Any]:
    """Return run.json of the run at `path`, with `path` added.

    Raises:
        ResultsError: `path` has no run, or its run.json is broken.
    """
    run = read_document(path / "run.json", "not a run's directory (no run.json); `vtbench ls runs` lists them")
    if problem := mismatch(run, RUN):
        raise ResultsError(f"{path / 'run.json'}: not that of a vtbench run: {problem}")
    if lacking := run["tasks"].keys() - run["metrics"].keys():
        raise ResultsError(f"{path / 'run.json'}: broken: no metrics of the task {min(lacking)!r}")
    run["config"].setdefault("model_args", {})
    return {"run_id": path.name, **_UNKNOWN, **run, "path": str(path)}


def read_document(file: Path, absent: str, cure: str = "") -> dict[str, Any]:
    """Return a JSON file of a run.

    Args:
        file: its path.
        absent: what an error says where there is no such file.
        cure: what an error of a broken file adds.

    Raises:
        ResultsError: the file is not there, not readable, or no JSON object.
    """
    if not os.path.exists(file):
        raise ResultsError(f"{file.parent}: {absent}")
    return read_object(file, ResultsError, cure)


def read_results(path: Path) -> dict[str, Any]:
    """Return results.json of the run at `path`.

    Raises:
        ResultsError: the run is not finished, or the file is broken; --resume writes it again.
    """
    cure = f"; the run's command with --resume {path} writes it again"
    found = read_document(path / "results.json", f"no results yet; finish the run with --resume {path}", cure)
    problem = mismatch(found, RESULTS)
    for part in ("left_out", "n-samples", "failed"):
        if not problem and (lacking := found["scores"].keys() - found[part].keys()):
            problem = f"{part} lacks the task {min(lacking)!r}"
    if problem:
        raise ResultsError(f"{path / 'results.json'}: broken: {problem}{cure}")
    return found


def runs(parent: Path, skipped: Callable[[Path, str], None] = lambda path, why: None) -> list[dict[str, Any]]:
    """Return run.json of every run in `parent`, newest first.

    Args:
        parent: directory of runs.
        skipped: called with each directory whose run.json is broken or not that of a run, and the error.
    """
    found = []
    for file in sorted(parent.glob("*/run.json")):
        try:
            found.append(read_run(file.parent))
        except ResultsError as error:
            skipped(file.parent, str(error))
    return sorted(found, key=lambda run: (str(run.get("created", "")), run["path"]), reverse=True)


@dataclass(frozen=True, slots=True)
class StoredTask:
    """The whole records that a run has stored of one task, each index once."""

    path: Path
    task: str
    records: tuple[Record, ...]
    """Sorted by index."""
    doubled: int
    """Lines of samples.jsonl that a later line of the same index replaces."""
    without_arrays: int
    """Samples whose arrays are missing or damaged: they have no record."""

    def missing(self, samples: int) -> list[int]:
        """Return the indices below `samples` that have no record."""
        there = {record.index for record in self.records}
        return [index for index in range(samples) if index not in there]

    def remarks(self, samples: int) -> list[str]:
        """Say in one line each what is wrong with the files, if anything is.

        Args:
            samples: number of samples of the task.
        """
        found = []
        if missing := self.missing(samples):
            arrays = f", {self.without_arrays} of them without their arrays" if self.without_arrays else ""
            found.append(
                f"{self.path}: {len(missing)} of {samples} samples of {self.task} are missing "
                f"({index_ranges(missing)}){arrays}; the run's command with --resume {self.path} asks them again"
            )
        if self.doubled:
            twice = f"samples.jsonl has {self.doubled} samples of {self.task} twice"
            found.append(f"{self.path}: {twice}; the last line of each counts")
        return found


def index_ranges(indices: Sequence[int], most: int = 8) -> str:
    """Return sorted indices as text, the first `most` ranges.

    >>> index_ranges([3, 5, 6, 7, 9])
    '3, 5-7, 9'
    """
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:most]]
    return ", ".join(texts + ["..."] * (len(ranges) > most))


def read_task(path: Path, task: str) -> StoredTask:
    """Read one task of the run at `path`, with the arrays of its observations."""
    found: dict[int, Line] = {}
    doubled = 0
    for line in lines(path / "samples.jsonl", is_sample):
        if line["task"] == task:
            doubled += line["index"] in found
            found[line["index"]] = line
    arrays = {
        metric: {
            line["index"]: {key: decode(coded) for key, coded in line["arrays"].items()}
            for line in lines(arrays_path(path, task, metric), is_arrays)
        }
        for metric in dict.fromkeys(metric for line in found.values() for metric in line["scores"])
    }
    whole = [line for _, line in sorted(found.items()) if not lacks_arrays(line, arrays)]
    records = tuple(_record(line, arrays) for line in whole)
    return StoredTask(path, task, records, doubled, len(found) - len(whole))


def read_records(path: Path, task: str) -> Iterator[Record]:
    """Yield the records of one task by index, with the arrays of their observations."""
    yield from read_task(path, task).records


def read_answers(path: Path) -> dict[str, tuple[Record, ...]]:
    """Read the records of all tasks of the run at `path` in one pass, without the arrays of their observations.

    Returns:
        By task, sorted by index. A sample whose arrays are lost has its record too.
    """
    found: dict[str, dict[int, Line]] = {}
    for line in lines(path / "samples.jsonl", is_sample):
        found.setdefault(line["task"], {})[line["index"]] = line
    return {task: tuple(_record(line, {}) for _, line in sorted(of.items())) for task, of in found.items()}


def arrays_path(path: Path, task: str, metric: str, ending: str = "jsonl") -> Path:
    """Return where a run keeps the arrays of a metric; with the ending `basis.npz`, its fitted state.

    Of a metric whose settings are too long for a file's name (a path, say) the end is a digest.
    """
    name = f"{quote(task, safe='')}.{quote(metric, safe='')}"
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 17]}-{hashlib.sha256(metric.encode()).hexdigest()[:16]}"
    return path / "visual" / f"{name}.{ending}"


def lacks_arrays(line: Line, stored: Mapping[str, Collection[int]]) -> bool:
    """Whether a line of samples.jsonl has lost arrays.

    Args:
        line: of a sample. Lines of older versions do not say which metrics have arrays: it is every metric that has
            arrays of any sample.
        stored: by metric, the indices of which there are arrays.
    """
    metrics = line.get("arrays", [metric for metric in line["scores"] if stored.get(metric)])
    return any(line["index"] not in stored.get(metric, ()) for metric in metrics)


def is_sample(line: Line) -> bool:
    """Whether an object is a line of samples.jsonl."""
    return (
        all(isinstance(line.get(key), str) for key in _TEXTS)
        and _is_index(line.get("index"))
        and isinstance(scores := line.get("scores"), dict)
        and all(isinstance(observation, dict) for observation in scores.values())
        and isinstance(line.get("logprobs"), (list, type(None)))
        and isinstance(line.get("error"), (str, type(None)))
        and isinstance(line.get("arrays", []), list)
    )


def is_arrays(line: Line) -> bool:
    """Whether an object is a line of a metric's arrays, each with all of its data."""
    if not (_is_index(line.get("index")) and isinstance(line.get("arrays"), dict)):
        return False
    try:
        return all(
            len(coded["data"]) == 4 * math.ceil(np.dtype(coded["dtype"]).itemsize * math.prod(coded["shape"]) / 3)
            for coded in line["arrays"].values()
        )
    except (KeyError, TypeError, ValueError):
        return False


def is_batch(line: Line) -> bool:
    """Whether an object is a line of batches.jsonl."""
    parts = line.get("indices", []), line.get("out_of_memory", [])
    return (
        isinstance(line.get("task"), str)
        and _is_index(line.get("start"))
        and _is_index(line.get("size"))
        and isinstance(line.get("seconds"), (int, float))
        and all(isinstance(part, list) and all(map(_is_index, part)) for part in parts)
    )


def encode(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON data (dtype, shape, base64), from which `decode` restores it bit for bit."""
    array = np.ascontiguousarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": little.dtype.str, "shape": list(array.shape), "data": data}


def decode(coded: Mapping[str, Any]) -> np.ndarray:
    """Return the array that `encode` encoded."""
    flat = np.frombuffer(base64.b64decode(coded["data"]), dtype=np.dtype(coded["dtype"]))
    return flat.reshape(coded["shape"]).copy()


def _record(line: Line, arrays: Mapping[str, Mapping[int, Mapping[str, np.ndarray]]]) -> Record:
    facts: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in line.items() if key in _KNOWN}
    if "answer_type" not in line and line.get("kind") == "graph" and not line.get("choices"):
        facts["answer_type"] = "graph"  # runs before scoring version 3 said it by the kind of question
    facts["scores"] = {
        metric: {**observation, **arrays.get(metric, {}).get(line["index"], {})}
        for metric, observation in line["scores"].items()
    }
    if line["logprobs"] is not None:
        # JSON has no -inf: the writer stores log p = -inf as null, and NaN never becomes a record
        facts["logprobs"] = tuple(-math.inf if value is None else value for value in line["logprobs"])
    return Record(**facts)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
