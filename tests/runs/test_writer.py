"""What a crash of the machine leaves at the end of a file, and that a run goes on from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_fakes import Plugin, quiz

import vtbench
from vtbench.errors import ResultsError
from vtbench.registry import Registry
from vtbench.runs.results import RunResult

FILES = ("samples.jsonl", "batches.jsonl", "visual/quiz.seen.jsonl")


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
    assert set(plugin.model.batches) == {4}, "the batch of the lost samples, whole"
    assert (first.path / "results.json").read_bytes() == results
    assert sorted(json.loads(line)["index"] for line in samples.read_text().splitlines()) == list(range(12))


def test_zeros_amid_a_file_are_an_error_that_names_the_line(tmp_path: Path) -> None:
    """Lines follow, so this is no interrupted write, and dropping it might drop what was scored."""
    first = go(quiz(tmp_path, 12))
    samples = first.path / "samples.jsonl"
    lines = samples.read_bytes().splitlines(keepends=True)
    lines[4] = b"\0" * 30 + b"\n"
    samples.write_bytes(b"".join(lines))
    with pytest.raises(ResultsError, match=r"samples\.jsonl:5: broken line"):
        go(tmp_path / "quiz.yaml", resume=True)
