"""The wheel holds everything that a checkout does, and runs with nothing beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "plugins/vtbench_zoo"


def built(project: Path, out: Path, kind: str = "wheel") -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (found,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ZOO, tmp_path_factory.mktemp("zoo"))


def test_the_wheel_holds_tasks_templates_and_weights(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"vtbench/tasks/{path.name}" for path in (ROOT / "tasks").glob("*.yaml")} <= names
    for folder in ("vtbench", "adapters/vtbench_hf", "adapters/vtbench_llava", "plugins/vtbench_redundancy"):
        base = ROOT / folder
        files = (path for path in base.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        kept = {str(path.relative_to(base.parent)) for path in files}
        assert kept <= names, kept - names
    assert not [name for name in names if name.startswith(("tests/", "adapters/", "plugins/", "results/"))]


def test_the_source_distribution_makes_the_same_wheel_and_the_index_takes_all_of_them(
    wheel: Path, zoo: Path, tmp_path: Path
) -> None:
    source = built(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (project,) = tmp_path.glob("vtbench-*")
    again = built(project, tmp_path / "wheel")
    assert again.name == wheel.name
    contents = [{n: archive.read(n) for n in archive.namelist()} for archive in map(zipfile.ZipFile, (wheel, again))]
    assert contents[0].keys() == contents[1].keys()
    assert [name for name in contents[0] if contents[0][name] != contents[1][name]] == []
    check = [sys.executable, "-m", "twine", "check", "--strict", str(source), str(wheel), str(zoo)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 3


def test_the_zoos_wheel_holds_every_model_and_is_the_one_that_the_extra_asks_for(wheel: Path, zoo: Path) -> None:
    kept = {f"vtbench_zoo/{path.relative_to(ZOO)}" for path in ZOO.glob("*/*") if path.parent.name != "__pycache__"}
    names = {name for name in zipfile.ZipFile(zoo).namelist() if ".dist-info/" not in name}
    assert names == kept | {"vtbench_zoo/__init__.py", "vtbench_zoo/py.typed"}
    described = Parser().parsestr(_metadata(wheel))
    (asked,) = [Requirement(text) for text in described.get_all("Requires-Dist", []) if text.startswith("vtbench-zoo")]
    brought = Parser().parsestr(_metadata(zoo))
    assert asked.marker is not None
    assert asked.marker.evaluate({"extra": "zoo"})
    assert asked.name == brought["Name"]
    assert asked.specifier.contains(brought["Version"])


def _metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name).decode()


@pytest.mark.parametrize("model", ["llava", "qwen2_vl"])
def test_the_wheels_run_on_their_own(model: str, wheel: Path, zoo: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel), str(zoo)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import vtbench; print(vtbench.__file__); from vtbench.cli import main; main()"
    arguments = ["run", "--model", model, "--tasks", "coarse", "--limit", "3", "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    (run,) = (tmp_path / "out").iterdir()
    assert (run / "report.html").exists()
