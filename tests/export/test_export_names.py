"""An export writes below its --output alone, whatever an imported task calls itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from host_fakes import quiz

from vtbench.cli import status
from vtbench.errors import TaskError, VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.task.loading import load_task
from vtbench.task.locations import open_task
from vtbench_export.exporter import export


class Foreign:
    """A format whose tasks say their own name and split, as an imported task config does."""

    @hookimpl
    def vtbench_task_sources(self) -> dict[str, object]:
        def foreign(where: str, *, split: str | None, seed: int | None, allow_code: bool) -> object:
            """Read a name, a split and a task file."""
            facts = json.loads(Path(where).read_text())
            task = load_task(Path(where).parent / "quiz.yaml")
            task.name, task.split = facts["name"], facts["split"]
            return task

        return {"foreign": foreign}


@pytest.mark.parametrize("format", ["parquet", "webdataset", "lm-eval", "lmms-eval"])
@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("../../x", "test"),
        ("/abs", "test"),
        ("a/b", "test"),
        ("..", "test"),
        ("ok", "../../x"),
        ("ok", "/abs"),
        ("a\0", "t"),
    ],
)
def test_nothing_is_written_outside_of_the_output(tmp_path: Path, name: str, split: str, format: str) -> None:
    home = tmp_path / "home"
    quiz(home, 4)
    (home / "f.json").write_text(json.dumps({"name": name, "split": split}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(VtbenchError, match="a name "):
        export([f"foreign:{home / 'f.json'}"], format, tmp_path / "deep/er/out", registry=Registry({"f": Foreign()}))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_refuses_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiz(tmp_path, 4)
    (tmp_path / "f.json").write_text(json.dumps({"name": "../x\x1b[31m", "split": "test"}))
    where = f"foreign:{tmp_path / 'f.json'}"
    with pytest.raises(TaskError):
        open_task(where, Registry({"f": Foreign()}))
    assert status(["validate", where], Registry({"f": Foreign()})) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("tasks", ["", ",", " , "])
def test_no_task_is_refused(tmp_path: Path, tasks: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["export", "--tasks", tasks, "--format", "parquet", "--output", str(tmp_path / "o")]) == 2
    assert "--tasks" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_plugin_that_brings_a_path_as_a_name_is_left_out() -> None:
    class Bad:
        @hookimpl
        def vtbench_metrics(self) -> dict[str, object]:
            return {"../hits": object}

    said: list[str] = []
    registry = Registry({"bad": Bad()}, warn=said.append)
    assert "../hits" not in registry.named("metric")
    assert "accuracy" in registry.named("metric")
    assert "'../hits'" in said[0]
