"""`vtbench export RUN`: what it takes and refuses; `make inspect` reads the logs."""

import sys

import pytest
from export_fakes import registry
from stored_runs import stored_run

from vtbench.cli import status
from vtbench_export import export_run
from vtbench_export.run_exporter import _WRITERS


@pytest.fixture
def run(tmp_path):
    return stored_run(tmp_path, "one", [True, None, False])


@pytest.fixture
def written(monkeypatch):
    """What the writer of logs is given, in place of writing."""
    calls = []

    def write(run, results, records, directory, advance):
        calls.append({task: [record.index for record in these] for task, these in records.items()})
        advance(sum(map(len, records.values())))
        return ["a note"]

    monkeypatch.setitem(_WRITERS, "inspect", lambda: write)
    return calls


def call(*words):
    return status(["export", *map(str, words)], registry())


def test_all_samples_are_written_and_notes_said(run, tmp_path, written, capsys):
    assert call(run, "--format", "inspect", "--output", tmp_path / "logs") == 0
    assert written == [{"colours": [0, 1, 2]}]
    said = capsys.readouterr().out
    assert "colours 3" in said
    assert "a note" in said
    assert "inspect view --log-dir" in said


def test_python_names_tasks(run, tmp_path, written):
    seen = []
    result = export_run(run, "inspect", tmp_path / "logs", tasks=["colours"], on_start=lambda total: seen.append)
    assert result.document()["notes"] == ["a note"]
    assert seen == [3]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--format", "inspct"), "unknown format 'inspct'. Did you mean 'inspect'?"),
        (("--format", "parquet"), "--format parquet takes --tasks, not a run"),
        (("--format", "inspect", "--tasks", "colors"), "the run has no task 'colors'. Did you mean 'colours'?"),
        (("--format", "inspect", "--limit", "1"), "--limit: says how tasks are made"),
        (("--format", "inspect", "--prompt-format", "plain"), "--prompt-format: says how tasks are made"),
    ],
)
def test_a_bad_argument_is_one_line_and_leaves_nothing(run, tmp_path, written, capsys, flags, said):
    assert call(run, *flags, "--output", tmp_path / "logs") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "logs").exists()


def test_a_format_of_runs_says_so(tmp_path, capsys):
    assert call("--tasks", "coarse", "--format", "inspect", "--output", tmp_path / "logs") == 2
    assert "--format inspect is of a finished run: vtbench export RUN --format inspect" in capsys.readouterr().err


def test_a_missing_package_names_the_extra(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    monkeypatch.delitem(sys.modules, "vtbench_export.inspect_log", raising=False)
    assert call(run, "--format", "inspect", "--output", tmp_path / "logs") == 2
    error = capsys.readouterr().err
    assert "--format inspect needs inspect_ai" in error
    assert "[inspect]" in error


def test_a_run_that_lacks_samples_is_refused(run, tmp_path, written, capsys):
    lines = (run / "samples.jsonl").read_text().splitlines(keepends=True)
    (run / "samples.jsonl").write_text("".join(lines[:-1]))
    assert call(run, "--format", "inspect", "--output", tmp_path / "logs") == 2
    assert "1 samples of colours are missing" in capsys.readouterr().err


def test_an_unfinished_run_is_refused(run, tmp_path, written, capsys):
    (run / "results.json").unlink()
    assert call(run, "--format", "inspect", "--output", tmp_path / "logs") == 2
    assert "no results yet" in capsys.readouterr().err
