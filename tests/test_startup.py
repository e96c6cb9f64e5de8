"""What starting costs: the modules that are imported, and CPU time."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from host_fakes import quiz

ROOT = Path(__file__).parent.parent
STARTUP = runpy.run_path(str(ROOT / "benchmarks" / "startup.py"))
HEAVY = {"PIL", "datasets", "jinja2", "numpy", "pydantic", "rich", "scipy", "torch", "transformers"}


def imported(code: str, *arguments: object) -> set[str]:
    """Return the top-level modules that are imported at the end of a Python program."""
    program = f"import sys\n{code}\nprint('', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_imports_nothing_but_the_standard_library() -> None:
    assert imported("import vtbench") - set(sys.stdlib_module_names) - imported("") == {"vtbench"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ls", "tasks"], ["ls", "models"], ["ls", "metrics"], ["run", "--help"]], ids=" ".join
)
def test_looking_around_imports_nothing_heavy(arguments: list[str]) -> None:
    """With every plugin that is installed: registering one is free."""
    found = imported(f"from vtbench.cli import status\nassert status({arguments!r}) == 0")
    assert found & HEAVY == set()
    assert "yaml" not in found or arguments[0] == "ls"


def test_a_run_imports_no_backend_itself(tmp_path: Path) -> None:
    code = (
        "from host_fakes import registry; import vtbench\n"
        "vtbench.run(model='fake', tasks=[sys.argv[1]], output=sys.argv[2], registry=registry())"
    )
    assert imported(code, quiz(tmp_path), tmp_path / "out") & {"torch", "transformers"} == set()


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no CPU time of a child process here")
@pytest.mark.parametrize("arguments", STARTUP["AIMS"], ids=" ".join)
def test_starting_takes_little_cpu_time(arguments: tuple[str, ...]) -> None:
    """Twice the aim, as processors differ; `python benchmarks/startup.py` prints what it is here."""
    assert STARTUP["cpu_seconds"](arguments, rounds=5)[0] <= 2 * STARTUP["AIMS"][arguments]
