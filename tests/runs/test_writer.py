"""What a crash of the machine leaves at the end of a file, and that a run goes on from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_fakes import Plugin, quiz

import vtbench
from vtbench.registry import Registry
from vtbench.runs.reader import arrays_path
from vtbench.runs.results import RunResult

FILES = ("samples.jsonl", "batches.jsonl", "visual/quiz.seen.jsonl")


def indices(path: Path) -> list[int]:
    return sorted(json.loads(line)["index"] for line in (path / "samples.jsonl").read_text().splitlines())


def go(task: Path, plugin: Plugin | None = None, **fields: Any) -> RunResult:
    registry = Registry({"fakes": plugin or Plugin()})
    output = str(task.parent / "out")
    return vtbench.run(
        "fake", [task], output=output, registry=registry, batch_size=4, metrics="hits,seen", report=False, **fields
    )


@pytest.mark.parametrize(
    "tail",
    [
        b"\0" * 4096,
        b"\0" * 100 + b"\n",
        b"\0\n\0\0\n\0\0\0\n",
        b'{"task": "quiz", "ind\0\0\0\n',
        b'\0\0\0"index": 11}\n\0\0',
        b'{"task": "quiz", "ind',
    ],
)
def test_a_tail_of_zeros_or_half_a_line_is_dropped(tmp_path: Path, tail: bytes) -> None:
    """A file system may have grown a file whose data it had not written yet: that part reads as zeros."""
    first = go(quiz(tmp_path, 12))
    before = {name: (first.path / name).read_bytes() for name in (*FILES, "results.json")}
    for name in FILES:
        with (first.path / name).open("ab") as file:
            file.write(tail)
    plugin = Plugin()
    again = go(tmp_path / "quiz.yaml", plugin, resume=True)
    assert again.path == first.path
    assert {name: (first.path / name).read_bytes() for name in before} == before
    assert plugin.model
    assert plugin.model.batches == [], "nothing was lost, so nothing is asked again"


def test_samples_whose_lines_are_zeros_are_asked_again(tmp_path: Path) -> None:
    first = go(quiz(tmp_path, 12))
    results = (first.path / "results.json").read_bytes()
    samples = first.path / "samples.jsonl"
    lines = samples.read_bytes().splitlines(keepends=True)
    samples.write_bytes(b"".join([*lines[:9], *(b"\0" * (len(line) - 1) + b"\n" for line in lines[9:])]))
    plugin = Plugin()
    go(tmp_path / "quiz.yaml", plugin, resume=True)
    assert plugin.model
    assert set(plugin.model.batches) - {1, 2} == {4}, "the batch of the lost samples; single ones check the order"
    assert (first.path / "results.json").read_bytes() == results
    assert indices(first.path) == list(range(12))


def test_damaged_lines_amid_a_file_are_dropped_and_their_samples_asked_again(tmp_path: Path) -> None:
    first = go(quiz(tmp_path, 12))
    results = (first.path / "results.json").read_bytes()
    for name in FILES:
        lines = (first.path / name).read_bytes().splitlines(keepends=True)
        middle = len(lines) // 2
        lines[middle] = b"\0" * 30 + b"\n"
        (first.path / name).write_bytes(b"".join([*lines[:middle], b"[]\n", b'{"index": "a"}\n', *lines[middle:]]))
    again = go(tmp_path / "quiz.yaml", resume=True)
    assert (again.path, (first.path / "results.json").read_bytes()) == (first.path, results)
    for name in FILES:
        assert all(line.startswith(b'{"') for line in (first.path / name).read_bytes().splitlines())
    assert indices(first.path) == list(range(12))


def test_arrays_of_a_metric_with_long_settings_have_a_file_of_their_own() -> None:
    """A target may be a path, which is longer percent-encoded than a file's name may be."""
    deep = [f"redundancy:target={'/directory' * 40}/clip.npz:{layer}" for layer in ("a/b", "../../b")]
    files = [arrays_path(Path("run"), "quiz", metric, ending) for metric in deep for ending in ("jsonl", "basis.npz")]
    assert len(set(files)) == 4
    assert all(file.parent == Path("run/visual") and len(file.name) <= 255 for file in files)
    assert arrays_path(Path("run"), "quiz", "seen:at=a/b").name == "quiz.seen%3Aat%3Da%2Fb.jsonl"
