"""The loop: what a run leaves, and that it survives whatever happens to it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import host_fakes
import numpy as np
import pytest
from host_fakes import Plugin, quiz, registry
from hypothesis import given, settings
from hypothesis import strategies as st

import vtbench
import vtbench.runs.run_files
import vtbench.runs.writer
from vtbench.console.progress import Listener
from vtbench.errors import AdapterError, ResultsError, VtbenchError
from vtbench.registry import Registry
from vtbench.runs.results import RunResult

ALL = "[hits, ranked, seen]"


def go(task: Path, **fields: Any) -> RunResult:
    given = {"model": "fake", "tasks": [task], "output": str(task.parent / "out"), "registry": registry()}
    return vtbench.run(**{**given, **fields})


def samples(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]


def strict(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in {path}")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines() if line[:1] in "{["]


def test_a_run_leaves_what_it_promises(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 12, metrics=ALL))
    document = json.loads((result.path / "results.json").read_text())
    assert document["results"]["quiz"]["acc,none"] == result.scores["quiz"]["acc"].value
    assert document["results"]["quiz"]["acc_stderr,none"] == 0.1
    assert document["results"]["quiz"]["unknown,none"] is None
    assert document["scores"]["quiz"]["acc"]["interval"] == [0.0, 1.0]
    assert document["n-samples"] == {"quiz": {"original": 12, "effective": 12}}
    assert document["configs"]["quiz"]["task"] == "quiz"
    assert document["versions"] == {"quiz": 1}
    run = json.loads((result.path / "run.json").read_text())
    assert run["model"]["checkpoint"] == "fake"
    assert run["versions"]["plugins"]["fakes"]["distribution"] == "fakes"
    assert len(run["digest"]) == 64
    assert result.path.name.endswith("-fake-quiz")
    assert sorted(line["index"] for line in samples(result.path)) == list(range(12))
    first = samples(result.path)[0]
    assert first["prompt"] == "question 0?"
    assert len(first["image_sha256"][0]) == 64
    assert first["tokens_in"] == 3
    assert result.exit_status == 0
    assert result.rows()[0]["chance"] == 0.5
    assert "<table>" in result._repr_html_()
    for file in result.path.rglob("*.jsonl"):
        strict(file)


class Killed(BaseException):
    """The process is gone."""


def dying_after(limit: int) -> type[FileIO]:
    """Files that take `limit` bytes in all, then no more: the last write is torn, as when a process is killed."""
    left = [limit]

    class Dying(FileIO):
        def write(self, data: Any) -> int:
            part = bytes(data)[: left[0]]
            left[0] -= len(part)
            super().write(part)
            if len(part) < len(data):
                raise Killed
            return len(part)

    return Dying


def bytes_written(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*.jsonl"))


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.999), again=st.floats(0, 0.999), size=st.integers(1, 6), moody=st.booleans())
def test_killed_at_any_byte_and_resumed_gives_the_same_bytes(
    share: float, again: float, size: int, moody: bool
) -> None:
    """Twice killed. Also for a model whose answers depend on the batch that a sample is in."""
    with tempfile.TemporaryDirectory() as directory:
        task = quiz(Path(directory), 13, missing=[3], metrics=ALL)
        common = {"model_args": {"moody": moody, "fails_on": ["question 7?"]}, "batch_size": size, "report": False}
        whole = go(task, output=f"{directory}/whole", **common)
        size_of_whole = bytes_written(whole.path)
        resume = False
        for part in (share, again):
            with patch.object(vtbench.runs.run_files, "FileIO", dying_after(int(part * size_of_whole))):
                try:
                    go(task, output=f"{directory}/cut", resume=resume, **common)
                except Killed:
                    resume = bool(list(Path(directory, "cut").glob("*/run.json")))
        resumed = go(task, output=f"{directory}/cut", resume=resume, **common)
        assert (resumed.path / "results.json").read_bytes() == (whole.path / "results.json").read_bytes()
        without = [{**line, "seconds": 0} for line in samples(whole.path)]
        assert sorted(({**line, "seconds": 0} for line in samples(resumed.path)), key=lambda s: s["index"]) == sorted(
            without, key=lambda s: s["index"]
        )
        assert [line["id"] for line in without if line["error"]] == ["quiz/3", "quiz/7"]


def test_sigkill_and_resume(tmp_path: Path) -> None:
    """The same with a real process and a real signal."""
    task = quiz(tmp_path, 60, metrics=ALL)
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1]); import host_fakes, vtbench\n"
        "real = host_fakes.FakeModel.generate\n"
        "def generate(self, samples, n):\n"
        "    if any(s.index == 41 for s in samples): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(self, samples, n)\n"
        "host_fakes.FakeModel.generate = generate\n"
        "of = dict(tasks=[sys.argv[2]], output=sys.argv[3], registry=host_fakes.registry())\n"
        "vtbench.run(model='fake', batch_size=4, **of)"
    )
    command = [sys.executable, "-c", code, str(Path(host_fakes.__file__).parent), str(task), str(tmp_path / "cut")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    (cut,) = (tmp_path / "cut").iterdir()
    assert len(samples(cut)) == 40
    whole = go(task, batch_size=4)
    resumed = go(task, batch_size=4, output=str(tmp_path / "cut"), resume=True)
    assert resumed.path == cut
    assert (cut / "results.json").read_bytes() == (whole.path / "results.json").read_bytes()


def test_interrupt_keeps_what_is_done(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    plugin = Plugin()
    with pytest.raises(KeyboardInterrupt):
        go(task, batch_size=5, model_args={"interrupts_on": "question 11?"}, registry=Registry({"f": plugin}))
    assert plugin.model
    assert plugin.model.closed
    (cut,) = (tmp_path / "out").iterdir()
    assert [line["index"] for line in samples(cut)] == list(range(10))


class StopsAfter(Listener):
    """Interrupts a run after a number of batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def advance(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("batches", [1, 2, 3, 4, 5])
def test_automatic_sizes_go_on_where_the_interrupted_run_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """On a clock on which every batch takes a second, so that sizes double; over 32 samples do not fit."""
    ticks = itertools.count()
    monkeypatch.setattr("vtbench.engine.worker.time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    task, common = quiz(tmp_path, 180), {"model_args": {"fits": 32}, "report": False}
    with pytest.raises(KeyboardInterrupt):
        go(task, listener=StopsAfter(batches), **common)
    resumed = go(task, resume=True, **common).path
    assert [(line["start"], line["size"]) for line in map(json.loads, (resumed / "batches.jsonl").open())] == [
        *((0, 8), (8, 16), (24, 32), (56, 64)),
        *((120, 32), (152, 28)),
    ]


def test_resuming_a_finished_run_asks_the_model_nothing(tmp_path: Path) -> None:
    task = quiz(tmp_path, metrics=ALL)
    first = go(task)
    before = (first.path / "results.json").read_bytes()
    plugin = Plugin()
    assert go(task, resume=True, registry=Registry({"fakes": plugin})).path == first.path
    assert plugin.model
    assert plugin.model.batches == []
    assert (first.path / "results.json").read_bytes() == before


def test_resume_refuses_another_config_and_names_the_keys(tmp_path: Path) -> None:
    task = quiz(tmp_path)
    with pytest.raises(ResultsError, match="no run here"):
        go(task, resume=True)
    first = go(task, limit=5)
    with pytest.raises(ResultsError, match=r"dtype \(.auto. there, .float32. here\), limit \(5 there, 6 here\)"):
        go(task, limit=6, dtype="float32", resume=True)
    with pytest.raises(ResultsError, match=r"identity.fingerprint \(nothing there, \"abc\" here\)"):
        go(task, limit=5, resume=str(first.path), model_args={"describes": {"fingerprint": "abc"}})
    # what does not decide the numbers may change
    settings_ = {"batch_size": 3, "max_failed": 0.5, "report": False}
    assert go(task, limit=5, resume=True, model_args={}, **settings_).path == first.path
    assert len(samples(first.path)) == 5


def test_a_failed_sample_is_a_record_and_the_others_are_answered(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20, missing=[2])
    arguments = {"breaks_on": ["question 9?"], "fails_on": ["question 10?"]}
    result = go(task, model_args=arguments, batch_size=8)
    errors = {line["index"]: line["error"] for line in samples(result.path) if line["error"]}
    assert sorted(errors) == [2, 9, 10]
    assert "gone.png" in errors[2]
    assert errors[9].startswith("ValueError: cannot take question 9?")
    assert "host_fakes.py:" in errors[9]
    assert errors[10] == "refused question 10?"
    assert result.document["n-samples"]["quiz"] == {"original": 20, "effective": 17}
    assert result.document["failed"] == {"quiz": 3}
    assert result.exit_status == 1
    assert go(task, model_args=arguments, max_failed=0.15).exit_status == 0


def test_nan_is_a_failed_record_and_no_file_holds_one(tmp_path: Path) -> None:
    task = quiz(tmp_path, 10, metrics="[ranked]")
    result = go(task, model_args={"nan_on": ["question 4?"]}, batch_size=5)
    (failed,) = [line for line in samples(result.path) if line["error"]]
    assert failed["index"] == 4
    assert "float32" in failed["error"]


@pytest.mark.parametrize("size", [1, 3, 50, "auto"])
def test_a_hopeless_run_ends_with_one_error(tmp_path: Path, size: int | str) -> None:
    with pytest.raises(VtbenchError, match=r"all failed with one type of error.*ValueError: cannot take question 0\?"):
        go(quiz(tmp_path, 200), model_args={"breaks_on": ["*"]}, batch_size=size)
    (path,) = (tmp_path / "out").iterdir()
    assert samples(path) == []


def test_first_samples_that_fail_in_several_ways_do_not_end_a_run(tmp_path: Path) -> None:
    first = [f"question {i}?" for i in range(10)]
    result = go(quiz(tmp_path, 20), model_args={"breaks_on": first[::2], "fails_on": first[1::2]}, batch_size=4)
    assert result.document["failed"] == {"quiz": 10}


def test_all_samples_of_a_small_task_may_fail(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 5), model_args={"breaks_on": ["*"]}, batch_size=2)
    assert len(samples(result.path)) == 5
    assert result.document["left_out"]["quiz"] == {"hits": "no sample was answered"}
    assert result.exit_status == 1


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), fits=st.integers(1, 40), size=st.one_of(st.just("auto"), st.integers(1, 50)))
def test_out_of_memory_loses_no_sample(n: int, fits: int, size: int | str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        plugin = Plugin()
        task = quiz(Path(directory), n, metrics=ALL)
        arguments = {"model_args": {"fits": fits}, "batch_size": size, "report": False}
        result = go(task, registry=Registry({"fakes": plugin}), **arguments)
        assert sorted(line["index"] for line in samples(result.path)) == list(range(n))
        assert not any(line["error"] for line in samples(result.path))
        assert plugin.model
        assert sum(batch > fits for batch in plugin.model.batches) <= 12, "it does not learn"


def test_out_of_memory_at_one_is_a_failed_record(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 3), model_args={"fits": 0})
    assert {line["error"] for line in samples(result.path)} == {"out of memory at batch size 1: 1 do not fit"}


def test_metrics_beyond_the_model_are_left_out_with_the_reason(tmp_path: Path) -> None:
    task = quiz(tmp_path, 6, metrics=ALL)
    result = go(task, model_args={"can": ["generate"]})
    assert set(result.scores["quiz"]) == {"acc", "weight"}
    assert result.document["left_out"]["quiz"] == {
        "ranked": "model 'fake' cannot rank answers",
        "seen": "model 'fake' gives no visual tokens",
    }
    with pytest.raises(AdapterError, match=r"no metric is left.*cannot rank"):
        go(task, model_args={"can": ["generate"]}, metrics=["ranked"])


def test_the_first_samples_are_encoded_once_for_all_visual_metrics(tmp_path: Path) -> None:
    """Each metric sees exactly its own first samples, and the layers that the model has of those it would like."""
    plugin = Plugin()
    task = quiz(tmp_path, 12, metrics="[seen, layers]")
    result = go(task, batch_size=3, registry=Registry({"fakes": plugin}))
    assert plugin.model
    both = ("connector", "encoder")
    assert plugin.model.shown == [(3, both), (2, both), (3, both)] + [(3, both)] * 4
    with np.load(result.path / "visual" / "quiz.seen.basis.npz") as basis:
        assert basis["first"].tolist() == [f"question {i}?" for i in range(5)]
    score = result.scores["quiz"]["layers"]
    assert (score.value, score.detail["found"]) == (2, ["connector", "encoder"])


def test_first_samples_that_fail_are_left_out_of_the_basis(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12, missing=[1], metrics="[seen, layers]")
    failing = [f"question {i}?" for i in (3, 5, 6, 7)]  # also all that only one of the two metrics would see
    result = go(task, batch_size=4, model_args={"fails_to_show": failing})
    with np.load(result.path / "visual" / "quiz.seen.basis.npz") as basis:
        assert basis["first"].tolist() == [f"question {i}?" for i in (0, 2, 4)]
    with pytest.raises(AdapterError, match=r"no metric is left.*seen: no visual tokens: cannot show question 11"):
        go(task, model_args={"fails_to_show": [f"question {i}?" for i in range(12)]})


def test_only_what_has_no_basis_yet_is_warmed(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12, metrics="[seen, layers]")
    first = go(task, batch_size=3)
    before = (first.path / "results.json").read_bytes()
    (first.path / "visual" / "quiz.seen.basis.npz").unlink()
    plugin = Plugin()
    go(task, batch_size=3, resume=True, registry=Registry({"fakes": plugin}))
    assert plugin.model
    assert plugin.model.shown == [(3, ("connector",)), (2, ("connector",))]
    assert (first.path / "results.json").read_bytes() == before


def test_a_metric_of_layers_that_the_model_lacks_is_left_out(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 6, metrics="[hits, deep]"))
    assert result.document["left_out"]["quiz"] == {"deep": "model 'fake' has no layer 'decoder_25' or 'decoder_50'"}


def test_the_model_is_asked_once_under_each_budget(tmp_path: Path) -> None:
    """However many metrics name it; each metric gets its own budgets by its own names."""
    plugin = Plugin()
    task = quiz(tmp_path, 6, metrics="[hits, frugal, thrifty]")
    arguments = {"can": ["generate", "budget"]}
    result = go(task, batch_size=3, model_args=arguments, registry=Registry({"fakes": plugin}))
    assert plugin.model
    assert sorted(plugin.model.budgets) == ["grid 0 tokens"] * 2 + ["grid 0.5"] * 2 + ["random 0.5, seed 0"] * 2
    for line in samples(result.path):
        frugal, thrifty = line["scores"]["frugal"], line["scores"]["thrifty"]
        assert frugal.keys() == {"half", "none"}
        assert frugal["none"] == thrifty["nothing"]
        assert line["tokens_in"] == 3, "the record is about the whole image"


def test_budgets_are_left_out_where_the_model_takes_none(tmp_path: Path) -> None:
    plugin = Plugin()
    result = go(quiz(tmp_path, 6, metrics="[hits, frugal]"), registry=Registry({"fakes": plugin}))
    assert plugin.model
    assert plugin.model.budgets == []
    assert result.document["left_out"]["quiz"] == {"frugal": "model 'fake' takes no token budget"}


def test_secrets_reach_no_file(tmp_path: Path) -> None:
    secret = "sk-live-0123456789"
    arguments = {
        "api_key": secret,
        "breaks_on": ["question 3?"],
        "describes": {"hub_token": secret, "url": f"x?{secret}"},
    }
    result = go(quiz(tmp_path, 12), model_args=arguments, batch_size=4)
    for file in result.path.rglob("*"):
        if file.is_file():
            assert secret not in file.read_text(errors="replace"), file
    assert json.loads((result.path / "run.json").read_text())["config"]["model_args"]["api_key"] == "***"
    assert "***" in next(line["error"] for line in samples(result.path) if line["error"])


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12)

    class Full(FileIO):
        def write(self, data: Any) -> int:
            if self.tell() > 1500:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with (
        patch.object(vtbench.runs.run_files, "FileIO", Full),
        pytest.raises(ResultsError, match=r"the disk is full.*--resume"),
    ):
        go(task, batch_size=2)
    (path,) = (tmp_path / "out").iterdir()
    kept = len(samples(path))
    assert 0 < kept < 12
    resumed = go(task, batch_size=2, resume=True)
    assert resumed.path == path
    assert (path / "results.json").read_bytes() == (
        go(task, batch_size=2, output=str(tmp_path / "other")).path / "results.json"
    ).read_bytes()


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    task = quiz(tmp_path)
    (tmp_path / "file").write_text("")
    for output in ("file", "file/below"):
        with pytest.raises(ResultsError, match="choose another --output"):
            go(task, output=str(tmp_path / output))
    with (
        patch.object(Path, "mkdir", side_effect=PermissionError(13, "Permission denied")),
        pytest.raises(ResultsError, match="no permission"),
    ):
        go(task)


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    task = quiz(tmp_path)
    first = go(task)
    store = vtbench.runs.writer.RunWriter(first.path, {})
    with pytest.raises(ResultsError, match="another process"):
        go(task, resume=True)
    store.close()
    go(task, resume=True)


def test_tasks_keep_apart(tmp_path: Path) -> None:
    tasks = [quiz(tmp_path, 6, metrics=ALL), quiz(tmp_path, 4, name="quiz.b", metrics=ALL)]
    result = go(tasks[0], tasks=tasks, limit=5)
    assert {name: c["effective"] for name, c in result.document["n-samples"].items()} == {"quiz": 5, "quiz.b": 4}
    with pytest.raises(VtbenchError, match="second task called 'quiz'"):
        go(tasks[0], tasks=[tasks[0], quiz(tmp_path / "else", 3)])
