"""The wheel holds everything that a checkout does, and runs with nothing beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_tasks_templates_and_weights(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"vtbench/tasks/{path.name}" for path in (ROOT / "tasks").glob("*.yaml")} <= names
    for folder in ("vtbench", "adapters/vtbench_hf", "adapters/vtbench_llava", "plugins/vtbench_redundancy"):
        base = ROOT / folder
        files = (path for path in base.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        kept = {str(path.relative_to(base.parent)) for path in files}
        assert kept <= names, kept - names
    assert not [name for name in names if name.startswith(("tests/", "adapters/", "plugins/", "results/"))]


def test_the_wheel_runs_on_its_own(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import vtbench; print(vtbench.__file__); from vtbench.cli import main; main()"
    arguments = ["run", "--model", "llava", "--tasks", "coarse", "--limit", "3", "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    (run,) = (tmp_path / "out").iterdir()
    assert (run / "report.html").exists()
