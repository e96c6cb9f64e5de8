"""`vtbench study` as its user runs it: killed several times, it ends with the numbers of an uninterrupted study."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_study import COMMAND, document

KILLED_AT = ("models/coarse-0/finetune.json", "runs/attribute-0/probe/*/samples.jsonl", "tokens/attribute-0.json")
"""The study is killed when these files appear: in a training, in a measurement, and after a finished model."""


def begin(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--output", str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(directory: Path) -> str:
    process = begin(directory)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed


def alive(directory: Path) -> list[int]:
    """Return the ids of the processes that run a study's model jobs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"vtbench_study.model_job" in words and str(directory.resolve()).encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("uninterrupted") / "study"
    return directory, finish(directory)


def test_it_prints_the_table_and_the_verdicts_and_writes_everything(uninterrupted: tuple[Path, str]) -> None:
    directory, printed = uninterrupted
    for words in ("Redundancy Score and accuracy", "too small to conclude from", "paper", "claims", "coarse",
                  "attribute", "blind", "cannot tell"):  # fmt: skip
        assert words in printed
    assert not document(directory)["missing"]
    assert "<svg" not in printed
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "The paper's table, with our numbers" in page.replace("&#39;", "'")
    assert len(page) < 10_000_000
    kept = [row["checkpoint"] for row in csv.DictReader((directory / "checkpoints.csv").open(encoding="utf-8"))]
    assert kept[:2] == ["coarse-0@3", "coarse-0"]
    assert kept[-1] == "shipped-llava"
    rows = list(csv.DictReader((directory / "models.csv").open(encoding="utf-8")))
    assert [row["model"] for row in rows] == ["base", "coarse-0", "coarse-1", "attribute-0", "attribute-1"]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_killed_three_times_it_ends_with_the_same_numbers(uninterrupted: tuple[Path, str], tmp_path: Path) -> None:
    directory = tmp_path / "study"
    for pattern in KILLED_AT:
        process = begin(directory)
        while not any(directory.glob(pattern)):
            assert process.poll() is None, "the study ended before it could be killed"
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        deadline = time.monotonic() + 60
        while alive(directory):
            assert time.monotonic() < deadline, "a model job outlives its study"
            time.sleep(0.1)
    finish(directory)
    here, there = document(directory), document(uninterrupted[0])
    assert here.pop("facts").keys() == there.pop("facts").keys()
    assert here == there


def test_a_finished_study_is_not_done_again(uninterrupted: tuple[Path, str]) -> None:
    directory, _ = uninterrupted
    before = {path: path.stat().st_mtime_ns for path in (directory / "runs").rglob("*") if path.is_file()}
    finish(directory)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_trained_first_and_measured_later_it_has_the_same_numbers(
    uninterrupted: tuple[Path, str], tmp_path: Path
) -> None:
    directory = tmp_path / "study"
    command = [*COMMAND, "--output", str(directory), "--train-only"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "trained  4 models" in done.stdout
    assert not (directory / "runs").exists()
    weights = {path: path.stat().st_mtime_ns for path in directory.glob("models/*/*/model.safetensors")}
    assert len(weights) == 8
    finish(directory)
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    here, there = document(directory), document(uninterrupted[0])
    assert here.pop("facts").keys() == there.pop("facts").keys()
    assert here == there


def test_another_plan_in_its_directory_is_refused(uninterrupted: tuple[Path, str]) -> None:
    command = [*COMMAND, "--steps", "7", "--output", str(uninterrupted[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this is another study, which differs in steps (6 there, 7 here)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
