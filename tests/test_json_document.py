"""With `--json` standard output holds one JSON document, whatever libraries print, from Python, C or a child."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from host_fakes import FakeModel, quiz
from host_fakes import Plugin as Fakes

from vtbench import cli
from vtbench.console.json_document import json_only, say_json
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry

Captured = pytest.CaptureFixture[str]


def chatter(where: str) -> None:
    """Print as libraries do: to `sys.stdout`, to the file descriptor, through C, and from a child process."""
    print(f"python {where}")
    os.write(1, f"descriptor {where}\n".encode())
    ctypes.CDLL(None).puts(f"libc {where}".encode())  # C keeps it in a buffer
    subprocess.run(["echo", f"child {where}"], check=True)


class Loud(FakeModel):
    def generate(self, *arguments: Any, **more: Any) -> Any:
        chatter("generate")
        return super().generate(*arguments, **more)


class Plugin(Fakes):
    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        chatter("hook")
        return {"fake": Loud}


def ran(*arguments: object) -> int:
    return cli.status([*map(str, arguments)], Registry({"fakes": Plugin()}))


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return quiz(tmp_path, 4)


def one_document(capfd: Captured) -> Any:
    out, err = capfd.readouterr()
    for kind in ("python", "descriptor", "libc", "child"):
        assert f"{kind} " in err
        assert f"{kind} " not in out
    return json.loads(out)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--model", "fake", "--tasks", "TASK", "--no-report"],
        ["run", "--model", "fake", "--tasks", "TASK", "--check-batching"],
        ["ls", "models"],
        ["check", "fake"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_what_libraries_print_goes_to_standard_error(
    command: list[str], task: Path, tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ran(*[task if word == "TASK" else word for word in command], "--json") in (0, 1)
    assert one_document(capfd)
    chatter("afterwards")
    assert "descriptor afterwards" in capfd.readouterr().out


def test_a_file_may_ask_for_json_too(task: Path, tmp_path: Path, capfd: Captured) -> None:
    config = {"model": "fake", "tasks": [str(task)], "output": str(tmp_path / "out"), "json": True, "report": False}
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    registry = Registry({"fakes": Plugin()})
    registry.named("model"), capfd.readouterr()
    assert cli.status(["run", "--config", str(tmp_path / "run.yaml")], registry) == 0
    assert one_document(capfd)["results"]["quiz"]


def test_an_error_leaves_standard_output_empty(task: Path, capfd: Captured) -> None:
    assert ran("run", "--model", "fake", "--tasks", task, "--metrics", "nosuch", "--json") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("vtbench: unknown metric 'nosuch'")
    print("afterwards")
    assert capfd.readouterr().out == "afterwards\n"


def test_every_command_with_json_prints_by_the_one_function() -> None:
    """A document that passes `say` would land on standard error."""
    root = Path(cli.__file__).parents[1]
    sources = [path for folder in ("vtbench", "plugins") for path in (root / folder).rglob("*.py")]
    found = {path.name for path in sources if "say(json.dumps(" in path.read_text(encoding="utf-8")}
    assert found == {"author_commands.py"}  # `validate --schema`
    flagged = [" ".join(path) for path, command in commands(cli.app) if any(p.name in NAMES for p in command.params)]
    assert {"run", "ls models", "check", "rescore"} <= {*flagged}


NAMES = ("as_json", "json")


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name), command


def test_what_is_printed_when_python_exits_goes_to_standard_error_too() -> None:
    command = "from vtbench.cli import main; main(['ls', 'tasks', '--json'])"
    code = f"import atexit; atexit.register(print, 'at exit'); {command}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)
    assert "at exit" in done.stderr


def test_a_document_without_the_switch_is_printed_at_once(capsys: Captured) -> None:
    with json_only(False):
        say_json({"a": 1})
        assert capsys.readouterr().out == '{"a": 1}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        say_json({"a": float("nan")})
