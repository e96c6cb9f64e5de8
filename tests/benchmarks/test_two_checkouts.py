"""`benchmarks/two_checkouts.py` on checkouts whose commands are scripts around this one's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from two_checkouts import differences

import vtbench

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "two_checkouts.py"
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By number of items, a run of this checkout, made once: what its `vtbench` is for."""
    made = {}
    for limit in (8, 20):
        output = tmp_path_factory.mktemp("runs")
        fields = {"metrics": ["accuracy"], "limit": limit, "report": False}
        vtbench.run("majority", ["relational"], output=str(output), **fields)
        made[limit] = output
    return made


@pytest.fixture
def checkout(runs: dict[int, Path]) -> Callable[..., Path]:
    return lambda directory, **facts: make_checkout(directory, runs[facts.pop("limit", 8)], **facts)


def make_checkout(directory: Path, runs: Path, before: str = "", package: str = "") -> Path:
    """Make a checkout whose `vtbench run ... --output DIRECTORY` does shell commands and leaves a copy of a run."""
    (directory / ".venv" / "bin").mkdir(parents=True)
    scripts = {
        "python": f"echo {package or directory}/vtbench/__init__.py",
        "vtbench": f'{before}\nfor output; do :; done\ncp -r "{runs}"/* "$output"',
    }
    for name, text in scripts.items():
        path = directory / ".venv" / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
    return directory


def compared(old: Path, new: Path, rounds: int = 1) -> subprocess.CompletedProcess[str]:
    run = "--model majority --tasks relational --limit 8 --metrics accuracy --no-report"
    command = [sys.executable, SCRIPT, old, new, "--rounds", str(rounds), "--run", run]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_ratio_is_that_of_the_rounds_and_the_scores_are_the_same(checkout: Make, tmp_path: Path) -> None:
    done = compared(
        checkout(tmp_path / "old", before="sleep 0.5"), checkout(tmp_path / "new", before="sleep 1"), rounds=2
    )
    assert done.returncode == 0, done.stderr
    rounds = re.findall(r"^round \d: old ([\d.]+) s wall, [\d.]+ s CPU, new ([\d.]+) s wall", done.stdout, re.MULTILINE)
    walls = [(float(old), float(new)) for old, new in rounds]
    assert len(walls) == 2
    assert all(new >= 1 for _, new in walls), "the time of the whole command counts"
    median = re.search(r"wall time, new over old: ([\d.]+) \(", done.stdout)
    assert median is not None
    assert float(median[1]) == pytest.approx(sum(new / old for old, new in walls) / 2, rel=0.02)
    assert "scores: the same" in done.stdout


def test_moved_scores_are_named(checkout: Make, tmp_path: Path) -> None:
    done = compared(checkout(tmp_path / "old"), checkout(tmp_path / "new", limit=20))
    assert done.returncode == 1
    assert re.search(r"scores that differ:\n  relational \w+: [\d.]+ to [\d.]+", done.stdout)


def test_scores_of_one_checkout_alone_are_named() -> None:
    old, new = {("a", "acc"): 0.5, ("a", "gone"): 1.0}, {("a", "acc"): 0.5, ("b", "acc"): 0.25}
    assert list(differences(old, new)) == ["a gone: only in the old one", "b acc: only in the new one"]


def test_a_failed_run_shows_what_it_wrote(checkout: Make, tmp_path: Path) -> None:
    broken = checkout(tmp_path / "new", before="echo no weights here >&2; exit 2")
    done = compared(checkout(tmp_path / "old"), broken)
    assert done.returncode == 1
    assert "no weights here" in done.stderr


@pytest.mark.parametrize(
    ("package", "reason"), [(None, "has no .venv"), ("/elsewhere", "runs the vtbench of /elsewhere, not its own")]
)
def test_a_directory_without_its_own_environment_is_refused(
    package: str | None, reason: str, checkout: Make, tmp_path: Path
) -> None:
    new = tmp_path / "new" if package is None else checkout(tmp_path / "new", package=package)
    done = compared(checkout(tmp_path / "old"), new)
    assert done.returncode == 1
    assert reason in done.stderr.splitlines()[-1]
