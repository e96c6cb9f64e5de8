"""What continuous integration calls exists: the targets of the workflows and of .ci/run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return found


def commands(path: Path) -> list[str]:
    return [step["run"] for job in jobs(path).values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_what_there_is(path: Path) -> None:
    assert commands(path)
    for command in commands(path):
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert target in targets(), command
        for script in re.findall(r"^(\.\w[\w./-]+)", command):
            assert (ROOT / script).is_file(), command
    assert all(need in jobs(path) for job in jobs(path).values() if (need := job.get("needs")))


def test_ci_runs_every_suite_that_is_a_target_of_its_own() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    called = set(re.findall(r"^(?:make|suite|in_own_environment) ([a-z-]+)\b", script, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    suites = set(re.findall(r"^([a-z-]+):.*\n(?:\t.*\n)*?\t.*-m pytest", makefile, re.MULTILINE))
    called |= {command.split()[1] for command in commands(ROOT / ".github/workflows/ci.yml") if "make " in command}
    # those that take a quarter of an hour, packages that are no part of the tests, and a part of `make test`
    assert suites - called == {"ray-study", "trackers", "language", "decoder", "core"}
    assert called <= targets()


def test_ci_makes_each_environment_before_its_suite_and_removes_it_after() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    steps = re.findall(r"^(begin|in_own_environment) (.+)$", script, re.MULTILINE)
    begun = ""
    for step, names in steps:
        if step == "in_own_environment":
            _, environment, *following = names.split()
            assert environment == begun, names
            names = "".join(following)
        begun = names
    assert not begun


def test_the_versions_that_are_claimed_are_tested() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    claimed = set(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project))
    ci = jobs(ROOT / ".github/workflows/ci.yml")
    tested = {ci["everything"]["steps"][1]["with"]["python-version"], *ci["tests"]["strategy"]["matrix"]["python"]}
    assert claimed == tested
