"""What the files of a run hold when it is opened again, and which of their lines are to go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vtbench.runs.jsonl import Line, scan
from vtbench.runs.reader import arrays_path, is_arrays, is_batch, is_sample, lacks_arrays

_FACTS = ("error", "transient", "cost")


@dataclass(frozen=True, slots=True)
class Stock:
    """The samples that a run has stored whole, and the lines that do not count."""

    samples: dict[tuple[str, int], Line]
    """By task and index: error, transient and cost of each sample."""
    dropped: dict[Path, list[int]]
    """By file, the numbers of the lines to drop: damaged ones, and of samples.jsonl those that have lost their arrays
    or that a later line replaces."""
    notes: tuple[str, ...]
    """What was damaged, in one line each."""


def take_stock(path: Path) -> Stock:
    """Read the files of the run at `path`, and change none."""
    dropped: dict[Path, list[int]] = {}
    notes: list[str] = []
    arrays: dict[Path, set[int]] = {}
    for file in sorted((path / "visual").glob("*.jsonl")):
        arrays[file], dropped[file] = _indices(file, is_arrays)
    batches = path / "batches.jsonl"
    _, dropped[batches] = _indices(batches, is_batch)
    notes += [f"{file}: {_some(len(lost), 'damaged line')} dropped" for file, lost in dropped.items() if lost]
    samples = path / "samples.jsonl"
    newest: dict[tuple[str, int], tuple[int, Line]] = {}
    damaged: list[int] = []
    bare: list[int] = []
    replaced: list[int] = []
    for number, line in scan(samples, is_sample):
        if line is None:
            damaged.append(number)
        elif lacks_arrays(line, {m: arrays.get(arrays_path(path, line["task"], m), ()) for m in line["scores"]}):
            bare.append(number)
        else:
            key = line["task"], line["index"]
            replaced += [newest[key][0]] if key in newest else []
            newest[key] = number, {name: line.get(name) for name in _FACTS}
    dropped[samples] = sorted((*damaged, *bare, *replaced))
    if damaged:
        notes.append(f"{samples}: {_some(len(damaged), 'damaged line')} dropped; such samples are asked again")
    if bare:
        notes.append(f"{path}: {_some(len(bare), 'sample')} without their arrays; they are asked again")
    return Stock({key: line for key, (_, line) in newest.items()}, dropped, tuple(notes))


def replaced_lines(samples: Path) -> list[int]:
    """Return the numbers of the lines of samples.jsonl that a later line of the same sample replaces."""
    last: dict[tuple[str, int], int] = {}
    found = []
    for number, line in scan(samples, is_sample):
        if line is not None:
            key = line["task"], line["index"]
            found += [last[key]] if key in last else []
            last[key] = number
    return found


def _indices(file: Path, sound: Callable[[Line], bool]) -> tuple[set[int], list[int]]:
    """Return the indices in the sound lines of a file, and the numbers of its other lines."""
    indices, damaged = set(), []
    for number, line in scan(file, sound):
        if line is None:
            damaged.append(number)
        else:
            indices.add(line.get("index", -1))
    return indices, damaged


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
