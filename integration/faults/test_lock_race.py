"""Processes that want one run at a time: one has it, the others are refused and touch nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from io import FileIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from killed_runs import BATCH, REFUSED, SAMPLES, Bench, end, kill_after, newest, start

import vtbench.runs.run_files

ROUNDS, RIVALS = 4, 4


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), moody=True, pause=0.01)


class Slowly(FileIO):
    """A file that takes a part of what is written at a time, as a network's or a nearly full disk may."""

    def write(self, data: Any) -> int:
        """Write a third, and wait."""
        taken = super().write(bytes(data)[: len(data) // 3 + 1])
        time.sleep(0.001)
        return taken


def write_slowly(bench: Bench, output: Path) -> None:
    """Run with files that have half a line at most moments."""
    vtbench.runs.run_files.FileIO = Slowly  # type: ignore[misc]
    bench.run(output)


def running(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG) == (0, 0)


def test_a_refused_resume_cuts_no_line_of_the_live_run(slow: Bench, tmp_path: Path) -> None:
    """What the live run has written stays, byte for byte, whatever others try meanwhile."""
    refused = 0
    for number in range(ROUNDS):
        output = tmp_path / str(number)
        live = start(lambda output=output: write_slowly(slow, output))
        while not any(output.glob("*/samples.jsonl")) or not any(output.glob("*/run.json")):
            time.sleep(0.001)
        seen = b""
        samples = newest(output) / "samples.jsonl"
        while running(live):
            refused += end(start(lambda output=output: slow.run(output, resume=True))) == REFUSED
            now = samples.read_bytes()
            assert now.startswith(seen[: seen.rfind(b"\n") + 1]), "a line is lost"
            seen = now
        slow.check(newest(output))
        batches = (newest(output) / "batches.jsonl").read_text().splitlines()
        assert [json.loads(line)["start"] for line in batches] == list(range(0, SAMPLES, BATCH)), "one run asked all"
    assert refused >= 2 * ROUNDS


def test_of_many_that_resume_one_goes_on(slow: Bench, tmp_path: Path, rng: Random) -> None:
    cut = tmp_path / "cut"
    while not any(cut.glob("*/run.json")):
        shutil.rmtree(cut, ignore_errors=True)
        kill_after(start(lambda: slow.run(cut)), rng.uniform(0.2, 0.8) * slow.seconds)
    for number in range(ROUNDS):
        output = tmp_path / str(number)
        shutil.copytree(cut, output)
        with (newest(output) / "samples.jsonl").open("ab") as file:
            file.write(b'{"task": "quiz", "index": 4}\n' + b"\0" * 50)  # each would like to repair this
        rivals = [start(lambda output=output: slow.run(output, resume=True)) for _ in range(RIVALS)]
        ended = [end(rival) for rival in rivals]
        assert set(ended) <= {0, REFUSED}
        assert 0 in ended
        slow.check(newest(output))
