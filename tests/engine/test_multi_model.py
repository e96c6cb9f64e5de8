"""Several models in one command: a run each, side by side, and what one that fails does to the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_fakes import FakeModel, Plugin, quiz

import vtbench
from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.runs.reader import runs

Captured = pytest.CaptureFixture[str]


class Zoo(Plugin):
    """The fakes, and three more models: `moody`, one that `needs` a package, and one that `dies` in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[FakeModel] = []

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        def fake(**arguments: Any) -> FakeModel:
            """Answers by hash; sees to it that the model before it is closed."""
            assert all(model.closed for model in self.made), "two models are in memory at once"
            self.made.append(FakeModel(**arguments))
            return self.made[-1]

        def moody(interrupts_on: str = "") -> FakeModel:
            """Another one."""
            return fake(moody=True, interrupts_on=interrupts_on)

        def needy() -> None:
            """Needs a package that is not there."""
            raise AssertionError("it was known before")

        needy.requires = ("torch_of_another_world",)  # type: ignore[attr-defined]
        return {**super().vtbench_adapters(), "fake": fake, "moody": moody, "needy": needy}


def cli(zoo: Zoo, task: Path, models: str, *more: object) -> int:
    given = ["run", "--model", models, "--tasks", task, "--output", task.parent / "out", "--no-report", *more]
    return status([str(argument) for argument in given], Registry({"zoo": zoo}))


def found(task: Path) -> list[str]:
    """Models of the runs that are there."""
    return sorted(run["config"]["model"] for run in runs(task.parent / "out"))


def test_each_model_has_a_run_and_a_column(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path, metrics="[hits, ranked]")
    zoo = Zoo()
    assert cli(zoo, task, "fake, moody") == 0
    out, _ = capsys.readouterr()
    heads = next(line for line in out.splitlines() if "score" in line).split()
    assert heads == ["task", "score", "chance", "fake", "moody"]
    assert ["asked", "plain", "plain"] in [line.split() for line in out.splitlines()]
    first = {key: value.value for key, value in _alone(task, "fake").scores["quiz"].items()}
    row = next(line for line in out.splitlines() if " acc " in line).split()
    assert row[:5] == ["quiz", "acc", "50.0", f"{100 * first['acc']:.1f}", "%"]
    assert "vtbench compare" in out
    assert found(task) == ["fake", "moody"]
    assert [model.closed for model in zoo.made] == [True, True]


def test_runs_of_one_name_have_their_models_behind_it(tmp_path: Path) -> None:
    assert cli(Zoo(), quiz(tmp_path), "fake,moody", "--name", "first") == 0
    names = sorted(path.name[len("2026-11-29T00-00-00") :] for path in (tmp_path / "out").iterdir())
    assert names == ["-first-fake", "-first-moody"]


def test_what_is_flagged_is_marked_and_the_marks_are_explained(tmp_path: Path, capsys: Captured) -> None:
    assert cli(Zoo(), quiz(tmp_path, metrics="[hits, seen]"), "fake,moody") == 0
    out, _ = capsys.readouterr()
    (seen,) = (line.split() for line in out.splitlines() if " seen " in line)
    assert [cell.endswith("*") for cell in seen if "." in cell or cell == "-*"] == [True, True]
    (row,) = (line for line in out.splitlines() if " acc " in line)
    assert "*" not in row
    assert "\n* small  seen: see the details of the scores" in out


def _alone(task: Path, model: str) -> Any:
    return vtbench.run(model=model, tasks=[task], output=str(task.parent / "alone"), registry=Registry({"z": Zoo()}))


def test_json_is_one_document_that_holds_each_run(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    assert cli(Zoo(), task, "fake,moody", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["models"]) == ["fake", "moody"]
    assert document["failed"] == {}
    alone = json.loads((_alone(task, "moody").path / "results.json").read_text())
    assert document["models"]["moody"]["results"] == alone["results"]
    assert Path(document["models"]["moody"]["run"], "samples.jsonl").exists()


def test_one_model_that_fails_is_named_and_the_others_are_run(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    assert cli(Zoo(), task, "fake,lacking,absent,moody") == 1
    out, err = capsys.readouterr()
    assert "vtbench: model 'lacking' failed: model 'lacking': No module named" in err
    assert "vtbench: model 'absent' failed: : no such checkpoint" in err
    assert "absent failed: : no such checkpoint" in out
    assert found(task) == ["fake", "moody"]


@pytest.mark.parametrize(
    ("models", "more", "message"),
    [
        ("fake,moddy", [], "unknown model 'moddy'. Did you mean 'moody'?"),
        ("fake,needy", [], "model 'needy': No module named 'torch_of_another_world'; install it with: pip install"),
        ("fake,moody", ["--model-args", "fits=3"], "model 'moody' has no setting 'fits'"),
        ("fake,moody,fake", [], "'fake' is named twice"),
        ("fake,moody", ["--resume", "x"], "a path is one model's run"),
        ("fake,moody", ["--check-batching"], "one model at a time"),
        ("fake,moody", ["--limit", "0"], "--limit: must be greater than 0"),
        ("fake,moody", ["--resume"], "no run here to resume"),
        (",", [], "--model is missing"),
        ("fake,moody", ["--name", "x" * 97], "a name has at most 100 bytes"),
        ("fake,moody", ["--executor", "rai"], "unknown executor 'rai'"),
        ("fake,moody", ["--executor", "local:address=head"], "executor 'local:address=head' has no setting 'address'"),
        ("fake", ["--check-batching", "--executor", "ray"], "answers are compared here; leave --executor out"),
    ],
)
def test_what_can_be_known_is_refused_before_any_work(
    tmp_path: Path, capsys: Captured, models: str, more: list[str], message: str
) -> None:
    task = quiz(tmp_path)
    assert cli(Zoo(), task, models, *more) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.strip().splitlines())) == ("", 1)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_interrupted_and_resumed_each_model_goes_on_with_its_own_run(tmp_path: Path, capsys: Captured) -> None:
    """The first is done, the second was interrupted, the third was not begun; a run of other settings lies beside."""
    task = quiz(tmp_path)
    other = vtbench.run(model="majestic", tasks=[task], limit=3, metrics=["ranked"], **_there(tmp_path))
    interrupted = Registry({"zoo": Zoo(), "more": _More("question 11?")})
    arguments = [str(a) for a in ("run", "--model", "fake,shy,majestic", "--tasks", task, "--output", tmp_path / "out")]
    assert status([*arguments, "--batch-size", "5"], interrupted) == 130
    assert "10 of 20 samples are kept" in capsys.readouterr().err
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*-fake-*/samples.jsonl")}
    assert len(before) == 1
    assert status([*arguments, "--resume"], Registry({"zoo": Zoo(), "more": _More()})) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert found(task) == ["fake", "majestic", "majestic", "shy"]
    assert sum(1 for _ in (other.path / "samples.jsonl").open()) == 3
    for path in (tmp_path / "out").glob("*-shy-*"):
        assert sum(1 for _ in (path / "samples.jsonl").open()) == 20


class _More:
    """Two more models, one of which may be interrupted."""

    def __init__(self, interrupts_on: str = "") -> None:
        self.interrupts_on = interrupts_on

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        return {"shy": lambda: FakeModel(interrupts_on=self.interrupts_on), "majestic": lambda: FakeModel()}


def _there(tmp_path: Path) -> dict[str, Any]:
    return {"output": str(tmp_path / "out"), "registry": Registry({"fakes": Plugin(), "more": _More()})}


def test_a_file_may_list_models(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    file = tmp_path / "run.yaml"
    text = f"model: [fake, moody]\ntasks: ['{task}']\noutput: '{tmp_path / 'out'}'\njson: true\nreport: false\n"
    file.write_text(text)
    assert status(["run", "--config", str(file)], Registry({"zoo": Zoo()})) == 0
    assert list(json.loads(capsys.readouterr().out)["models"]) == ["fake", "moody"]
    file.write_text(text.replace("[fake, moody]", "[fake]"))
    assert status(["run", "--config", str(file)], Registry({"zoo": Zoo()})) == 0
    assert "models" not in json.loads(capsys.readouterr().out)
    file.write_text(text.replace("[fake, moody]", "[fake, 5]"))
    assert status(["run", "--config", str(file)], Registry({"zoo": Zoo()})) == 2


def test_from_python(tmp_path: Path) -> None:
    task = quiz(tmp_path)
    where = {"tasks": [task], "output": str(tmp_path / "out"), "registry": Registry({"zoo": Zoo()}), "report": False}
    both = vtbench.run_many(["fake", "absent", "moody"], **where)
    assert list(both.results) == ["fake", "moody"]
    assert both.failed == {"absent": ": no such checkpoint"}
    assert both.exit_status == 1
    assert {row["model"] for row in both.rows()} == {"fake", "moody"}
    with pytest.raises(VtbenchError, match=r"one run has one model; `vtbench.run_many` runs several"):
        vtbench.run(model="fake,moody", **where)
