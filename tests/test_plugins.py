"""Plugins of third parties, really installed; and the packages of `vtbench init`, really run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vtbench.cli import status
from vtbench.registry import Registry

TESTS = Path(__file__).parent
Command = Callable[..., "Done"]


def install(package: Path, target: Path) -> None:
    """Install a package as a user would, but without network and beside the environment."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    source = target.parent / "sources" / package.name
    shutil.copytree(package, source)  # a build leaves nothing in the checkout
    subprocess.run([*pip, "--disable-pip-version-check", "--target", target, source], check=True)


def in_own_process(site: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module of Python with the packages of an environment."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=cwd)


@dataclass(frozen=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def vtbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """A function that runs a command with the packages of an environment, in this process: torch is imported once."""
    before = set(sys.modules)

    def command(site: Path, *arguments: object) -> Done:
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(site)
        capsys.readouterr()
        returncode = status([*map(str, arguments)])
        return Done(returncode, *capsys.readouterr())

    yield command
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("vtbench_echo", "vtbench_broken", "mine"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a good plugin and a broken one."""
    target = tmp_path_factory.mktemp("plugins") / "site"
    install(TESTS / "vtbench_echo", target)
    install(TESTS / "vtbench_broken", target)
    return target


@pytest.mark.parametrize(("what", "name"), [("models", "parrot"), ("metrics", "words"), ("tasks", "parrot_coarse")])
def test_an_installed_plugin_is_listed_and_a_broken_one_is_one_warning(
    site: Path, vtbench: Command, what: str, name: str
) -> None:
    done = vtbench(site, "ls", what, "--json")
    assert done.returncode == 0
    assert name in [row["name"] for row in json.loads(done.stdout)]
    (warning,) = [line for line in done.stderr.splitlines() if "broken" in line]
    assert "vtbench-broken 0.0.1" in warning
    assert "flux capacitor" in warning


def test_plugins_are_listed_with_their_errors(site: Path, vtbench: Command) -> None:
    rows = {row["name"]: row for row in json.loads(vtbench(site, "ls", "plugins", "--json").stdout)}
    assert rows["echo"]["distribution"] == "vtbench-echo"
    assert rows["echo"]["version"] == "1.2.3"
    assert rows["echo"]["error"] is None
    assert "flux capacitor" in rows["broken"]["error"]


def test_an_installed_plugin_runs(site: Path, tmp_path: Path) -> None:
    arguments = ("--model", "parrot", "--tasks", "parrot_coarse", "--output", tmp_path, "--json")
    done = in_own_process(site, "vtbench", "run", *arguments)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["results"]["parrot_coarse"]["words,none"] == 21, "the question, and the words to answer with"
    run = json.loads(Path(document["run"], "run.json").read_text())
    assert run["versions"]["plugins"]["echo"] == {"distribution": "vtbench-echo", "version": "1.2.3"}


def test_asking_for_the_broken_one_gives_its_own_error(site: Path, vtbench: Command) -> None:
    done = vtbench(site, "run", "--model", "broken", "--tasks", "parrot_coarse")
    assert done.returncode == 2
    assert "flux capacitor" in done.stderr.splitlines()[-1]


def test_two_distributions_with_one_name_are_refused_by_both_names(
    site: Path, vtbench: Command, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(TESTS / "vtbench_echo", other)
    project = other / "pyproject.toml"
    text = project.read_text().replace('"vtbench-echo"', '"vtbench-twin"')
    project.write_text(text + '\n[tool.hatch.build.targets.wheel]\npackages = ["vtbench_echo"]\n')
    twin = tmp_path / "site"
    shutil.copytree(site, twin)
    install(other, twin)
    done = vtbench(twin, "ls", "models")
    assert done.returncode == 2
    assert "vtbench-echo 1.2.3" in done.stderr
    assert "vtbench-twin 1.2.3" in done.stderr


@pytest.mark.parametrize("arguments", [["parrot"], ["parrot", "--model-args", "loud=true"], ["--metric", "words"]])
def test_an_installed_plugin_keeps_the_contract(site: Path, vtbench: Command, arguments: list[str]) -> None:
    done = vtbench(site, "check", *arguments)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith("checks, none failed")


@pytest.mark.parametrize(("what", "check"), [("adapter", ["mine"]), ("metric", ["--metric", "mine"])])
def test_init_writes_a_package_that_installs_and_keeps_the_contract(
    what: str, check: list[str], tmp_path: Path, vtbench: Command
) -> None:
    assert status(["init", what, "mine", "--output", str(tmp_path)], Registry({})) == 0
    assert status(["init", what, "mine", "--output", str(tmp_path)], Registry({})) == 2
    site = tmp_path / "site"
    install(tmp_path / "mine", site)
    done = vtbench(site, "check", *check)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith("checks, none failed")
    assert vtbench(site, "init", what, "mine", "--output", tmp_path / "again").returncode == 2
    done = in_own_process(site, "pytest", "-p", "no:cacheprovider", tmp_path / "mine" / "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    listing = {"adapter": "models", "metric": "metrics"}[what]
    assert "mine" in [row["name"] for row in json.loads(vtbench(site, "ls", listing, "--json").stdout)]


def test_init_task_validates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import vtbench.scoring.plugin

    registry = Registry({"scoring": vtbench.scoring.plugin})
    assert status(["init", "task", "mytask", "--output", str(tmp_path)], registry) == 0
    assert status(["validate", str(tmp_path / "mytask.yaml")], registry) == 0
    assert "200 samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "name", "why"),
    [
        *(("adapter", name, "begins with a letter") for name in ("My-Model", "mY", "../up", "1st", "", "_x")),
        *(("metric", name, "a word of Python") for name in ("class", "match")),
        *(("adapter", name, "is installed already") for name in ("json", "numpy", "pyyaml", "vtbench")),
        ("adapter", "echo", "plugin 'controls' of vtbench"),
        ("metric", "accuracy", "plugin 'scoring' of vtbench"),
        ("task", "my task", "begins with a letter"),
    ],
)
def test_init_refuses_names_that_cannot_be_imported_or_are_taken(
    what: str, name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["init", what, name, "--output", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert list(tmp_path.iterdir()) == []
