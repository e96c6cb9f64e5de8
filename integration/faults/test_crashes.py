"""Machines that crash: each file of a run loses its own end, and the run still ends with the scores of a whole one."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from killed_runs import BROKEN, Bench, end, kill_after, newest, start
from machine_crash import crash, sizes

import vtbench
from vtbench.errors import VtbenchError
from vtbench.report import render
from vtbench_analysis.comparison.run_comparison import compare

CRASHES = 32
"""For each of the two models."""


def test_a_crash_costs_no_score(bench: Bench, tmp_path: Path, rng: Random) -> None:
    """Of finished runs and of runs on their way, once or twice, with some of the data on the disk or none."""
    for number in range(CRASHES):
        output = tmp_path / str(number)
        happened = []
        for _ in range(rng.randint(1, 2)):
            before = sizes(newest(output)) if any(output.glob("*/run.json")) and rng.random() < 0.5 else {}
            kill_after(start(lambda output=output: bench.go_on(output)), rng.uniform(0.3, 1.5) * bench.seconds)
            if any(output.glob("*/run.json")):
                happened.append(crash(newest(output), rng, before))
                read_what_is_there(newest(output))
        assert end(start(lambda output=output: bench.go_on(output))) == 0, happened
        finished = [path for path in output.iterdir() if (path / "results.json").exists()]
        assert len(finished) == 1
        bench.check(finished[0])


def test_a_crash_during_a_retry_costs_no_answer(bench: Bench, tmp_path: Path, rng: Random) -> None:
    """Lines that were to replace others are lost or not; none is there twice in the end."""
    bench.run(tmp_path / "out")
    path = newest(tmp_path / "out")
    for _ in range(8):
        on_disk = sizes(path)
        retry = start(lambda: bench.run(tmp_path / "out", resume=str(path)))
        kill_after(retry, rng.uniform(0, bench.seconds))
        crash(path, rng, on_disk)
        assert end(start(lambda: bench.run(tmp_path / "out", resume=True))) == 0
        bench.check(path)


def read_what_is_there(run: Path) -> None:
    """Read a damaged run as `report` and `compare` do: they show what there is, or say in one line what is missing."""
    said = ""
    for read in (lambda: render(run), lambda: compare([run, run])):
        try:
            read()
        except VtbenchError as error:
            said = str(error)
        assert not said or "--resume" in said


@pytest.fixture(scope="module")
def redundancy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A finished run of the Redundancy Score, whose arrays are most of its bytes."""
    path = vtbench.run(
        "echo",
        ["relational"],
        metrics=["accuracy", "redundancy:m=4,r=2,r_x=8"],
        limit=60,
        batch_size=16,
        report=False,
        output=tmp_path_factory.mktemp("redundancy"),
    ).path
    return path, (path / "results.json").read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_costs_no_redundancy_score(redundancy: tuple[Path, bytes], tmp_path: Path, seed: int) -> None:
    whole, results = redundancy
    run = tmp_path / "out" / whole.name
    shutil.copytree(whole, run)
    happened = crash(run, Random(seed))
    read_what_is_there(run)
    again = vtbench.run(
        "echo",
        ["relational"],
        metrics=["accuracy", "redundancy:m=4,r=2,r_x=8"],
        limit=60,
        batch_size=16,
        report=False,
        output=tmp_path / "out",
        resume=True,
    )
    assert again.path == run
    assert (run / "results.json").read_bytes() == results, happened


def test_a_broken_run_json_is_one_line_and_hides_no_other_run(bench: Bench, tmp_path: Path, rng: Random) -> None:
    bench.run(tmp_path / "out")
    whole = newest(tmp_path / "out")
    content = (whole / "run.json").read_bytes()
    for number, broken in enumerate((b"", content[: rng.randrange(len(content))], b"\0" * 100, b"[]", b'{"a": 1}')):
        other = tmp_path / "out" / f"broken-{number}"
        other.mkdir()
        (other / "run.json").write_bytes(broken)
        assert end(start(lambda: bench.run(tmp_path / "out", resume=True))) == 0
        assert end(start(lambda other=other: bench.run(tmp_path / "out", resume=str(other)))) not in (0, BROKEN)
