"""The command line: exit statuses, what goes to which stream, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_fakes import quiz, registry

from vtbench.cli import status
from vtbench.config import RunConfig

Captured = pytest.CaptureFixture[str]


def cli(*arguments: object) -> int:
    return status([str(argument) for argument in arguments], registry())


def run(task: Path, *more: object) -> int:
    return cli("run", "--model", "fake", "--tasks", task, "--output", task.parent / "out", *more)


def test_json_is_one_document_and_nothing_else_on_stdout(tmp_path: Path, capsys: Captured) -> None:
    assert run(quiz(tmp_path), "--json", "--model-args", "moody=true") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["results"]["quiz"]["acc,none"] >= 0
    assert Path(document["run"], "report.html").exists()
    assert "acc" in err


def test_without_json_the_table_is_on_stdout(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path, metrics="[hits, ranked]")
    assert run(task, "--model-args", "can=[generate]", "--no-report") == 0
    out, _ = capsys.readouterr()
    for part in ("fake · quiz · plain", "acc", "chance", "majority", "50.0", "cannot rank answers"):
        assert part in out
    assert not list((tmp_path / "out").glob("*/report.html"))


def test_flags_win_over_the_file(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    file = tmp_path / "run.yaml"
    file.write_text(f"model: fake\ntasks: ['{task}']\nlimit: 7\noutput: '{tmp_path / 'out'}'\njson: true\n")
    assert cli("run", "--config", file, "--limit", "3") == 0
    assert json.loads(capsys.readouterr().out)["n-samples"]["quiz"]["original"] == 3
    file.write_text(file.read_text().replace("limit: 7", "limit: some"))
    assert cli("run", "--config", file) == 2
    assert "run.yaml, line 3: limit" in capsys.readouterr().err


def test_failed_samples_beyond_the_share_are_status_1(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path, 20, missing=[1])
    assert run(task) == 1
    assert "1 samples failed" in capsys.readouterr().out
    assert run(task, "--max-failed", "0.05") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "fakee"], "unknown model 'fakee'. Did you mean 'fake'?"),
        (["--metrics", "hist"], "unknown metric 'hist'. Did you mean 'hits'?"),
        (["--tasks", "relationl"], "unknown task 'relationl'. Did you mean 'relational'"),
        (["--tasks", "none/such.yaml"], "none/such.yaml: no such task file"),
        (["--model", "absent", "--model-args", "pretrained=x"], "x: no such checkpoint"),
        (["--model", "lacking"], "pip install"),
        (["--model-args", "moody"], "k=v,k=v"),
        (["--batch-size", "few"], "--batch-size"),
        (["--limt", "3"], "No such option"),
        (["--resume", "--output", "nowhere"], "no run here"),
        (["--resume", "nowhere"], "nowhere: not a run's directory"),
        (["--config", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(
    tmp_path: Path, capsys: Captured, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = quiz(tmp_path)
    given = dict(zip(["--model", "--tasks", "--metrics"], ["fake", str(task), "hits"], strict=True))
    rest = [a for i, a in enumerate(arguments) if a not in given and (not i or arguments[i - 1] not in given)]
    given |= {key: arguments[arguments.index(key) + 1] for key in given if key in arguments}
    assert cli("run", *[part for pair in given.items() for part in pair], *rest) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_task_with_an_unknown_key_names_file_line_and_key(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    task.write_text(task.read_text() + "metrcs: [hits]\n")
    assert run(task) == 2
    assert "quiz.yaml, line 4: metrcs: unknown key. Did you mean 'metrics'?" in capsys.readouterr().err
    assert cli("validate", task) == 2
    assert "line 4" in capsys.readouterr().err


def test_an_interrupt_is_130_and_says_how_to_go_on(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    assert run(task, "--model-args", "interrupts_on=question 11?", "--batch-size", 5) == 130
    assert "10 of 20 samples are kept" in capsys.readouterr().err
    assert run(task, "--batch-size", 5, "--resume", "--json", "--model-args", "interrupts_on=question 99?") == 2
    assert "model_args.interrupts_on" in capsys.readouterr().err


def test_resume_takes_the_newest_or_a_path(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    for more in ([], ["--resume"], ["--resume", "--json"]):
        assert run(task, "--json", *more) == 0
    found = [json.loads(line)["run"] for line in capsys.readouterr().out.splitlines()]
    assert len(set(found)) == 1
    assert run(task, "--resume", found[0]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize("what", ["models", "metrics", "tasks", "plugins"])
def test_ls(what: str, capsys: Captured) -> None:
    expected = {"models": "fake", "metrics": "hits", "tasks": "relational", "plugins": "fakes"}[what]
    assert cli("ls", what) == 0
    assert expected in capsys.readouterr().out
    assert cli("ls", what, "--json") == 0
    assert expected in [row["name"] for row in json.loads(capsys.readouterr().out)]


def test_ls_runs_and_report(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path)
    assert cli("ls", "runs", "--output", tmp_path / "out") == 0
    assert capsys.readouterr().out == ""
    run(task, "--no-report", "--json")
    path = json.loads(capsys.readouterr().out)["run"]
    assert cli("ls", "runs", "--output", tmp_path / "out", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    name, score = next(iter(json.loads(Path(path, "results.json").read_text())["scores"]["quiz"].items()))
    told = {"model": "fake", "asked": "plain", "limit": None, "samples": 20, "state": "done"}
    assert told.items() <= listed.items()
    assert listed["run"] == path
    assert listed["scores"] == f"quiz {name} {100 * score['value']:.1f} %"
    assert cli("ls", "runs", "--output", tmp_path / "out") == 0
    header, row, where, scores = capsys.readouterr().out.splitlines()
    assert header.split() == ["begun", "state", "samples", "limit", "model", "asked", "checkpoint"]
    assert row.split()[2:] == ["done", "20", "fake", "plain", "fake"][: len(row.split()) - 2]
    assert (where, scores) == (f"    {path}", f"    {listed['scores']}")
    assert cli("report", path) == 0
    assert capsys.readouterr().out.strip() == str(Path(path, "report.html"))
    assert cli("report", tmp_path) == 2


def test_a_run_may_have_a_name(tmp_path: Path) -> None:
    run(quiz(tmp_path), "--no-report", "--name", "my first try")
    (path,) = (tmp_path / "out").iterdir()
    assert path.name[len("2026-11-29T00-00-00") :] == "-my_first_try"


@pytest.mark.parametrize("name", ["..", ".", "a/b", " ", "con", "x" * 101, "tab\there"])
def test_the_name_of_a_run_keeps_the_rule_of_all_names(tmp_path: Path, capsys: Captured, name: str) -> None:
    assert run(quiz(tmp_path), "--name", name) == 2
    err = capsys.readouterr().err
    assert err.startswith("vtbench: --name ")
    assert (": a name " in err, err.count("\n")) == (True, 1)
    assert not (tmp_path / "out").exists()


def test_validate(tmp_path: Path, capsys: Captured) -> None:
    assert cli("validate", quiz(tmp_path)) == 0
    assert "20 samples" in capsys.readouterr().out
    assert cli("validate", quiz(tmp_path, metrics="[hist]")) == 2
    assert cli("validate", quiz(tmp_path, missing=[4])) == 2
    assert "gone.png" in capsys.readouterr().err


def test_check_batching_finds_answers_that_depend_on_company(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path, 40, missing=[3])
    assert run(task, "--check-batching") == 0
    assert "31 samples at batch size 1 and 8: 0 answers differ" in capsys.readouterr().out
    assert run(task, "--check-batching", "--model-args", "moody=true", "--batch-size", 4, "--json") == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["batch_size"] == 4
    assert {row["form"] for row in found["differing"]} == {"generate", "rank"}
    assert not (tmp_path / "out").exists()


def test_help_has_every_field_and_commands_of_plugins(capsys: Captured) -> None:
    assert cli("run", "--help") == 0
    text = capsys.readouterr().out
    for name in RunConfig.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in text
    assert cli("--version") == 0
    assert cli() == 2


def test_an_end_of_file_in_the_middle_is_no_silent_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Click takes an `EOFError` for Ctrl-D at a prompt; of a truncated file it is an error like any other."""

    def truncated(*_: object, **__: object) -> None:
        raise EOFError("No data left in file")

    monkeypatch.setattr("vtbench.console.run_listing.runs", truncated)
    assert status(["ls", "runs"]) == 2
    assert "a file or stream ended before its data did: EOFError: No data left in file" in capsys.readouterr().err
