"""Reads the directory of a run, without a model and without write access; writer.py documents the files."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from vtbench.errors import ResultsError
from vtbench.runs.json_file import read_object
from vtbench.types import Record


def read_run(path: Path) -> dict[str, Any]:
    """Return run.json of the run at `path`, with `path` added.

    Raises:
        ResultsError: `path` has no run, or its run.json is broken.
    """
    if not (path / "run.json").exists():
        raise ResultsError(f"{path}: not a run's directory (no run.json); `vtbench ls runs` lists them")
    return read_object(path / "run.json", ResultsError) | {"path": str(path)}


def runs(parent: Path) -> list[dict[str, Any]]:
    """Return run.json of every run in `parent`, newest first."""
    found = [read_run(path.parent) for path in parent.glob("*/run.json")]
    return sorted(found, key=lambda run: (run.get("created", ""), run["path"]), reverse=True)


def read_records(path: Path, task: str) -> Iterator[Record]:
    """Yield the records of one task in the order of writing, with the arrays of their observations."""
    arrays: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    start = f"{quote(task, safe='')}."
    for file in sorted((path / "visual").glob("*.jsonl")):
        if file.name.startswith(start):
            metric = file.name.removeprefix(start).removesuffix(".jsonl")
            coded = {line["index"]: line["arrays"] for line in lines(file)}
            arrays[metric] = {i: {k: decode(a) for k, a in some.items()} for i, some in coded.items()}
    known = {f.name for f in fields(Record)}
    for line in lines(path / "samples.jsonl"):
        if line["task"] != task:
            continue
        facts: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in line.items() if key in known}
        facts["scores"] = {
            metric: {**observation, **arrays.get(quote(metric, safe=""), {}).get(line["index"], {})}
            for metric, observation in line["scores"].items()
        }
        if line["logprobs"] is not None:
            # JSON has no -inf: the writer stores log p = -inf as null, and NaN never becomes a record
            facts["logprobs"] = tuple(-math.inf if value is None else value for value in line["logprobs"])
        yield Record(**facts)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a .jsonl file; an incomplete last line is skipped."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ResultsError(f"{path}:{number}: broken line: {error}") from error


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
