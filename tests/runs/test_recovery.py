"""A run whose files a crash has damaged, each on its own, goes on to the scores that it would have had."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from host_fakes import Plugin, quiz
from machine_crash import crash

import vtbench
from vtbench.console.progress import Listener
from vtbench.errors import ResultsError, VtbenchError
from vtbench.registry import Registry
from vtbench.report import render
from vtbench.runs.reader import index_ranges, read_task, runs
from vtbench.runs.results import RunResult
from vtbench.runs.writer import RunWriter
from vtbench_analysis.comparison.run_comparison import compare

N = 30
ARRAYS, STATE = "visual/quiz.seen.jsonl", "visual/quiz.seen.basis.npz"


class Notes(Listener):
    """Keeps the lines that a user sees."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def go(task: Path, plugin: Plugin | None = None, **fields: Any) -> RunResult:
    given = {
        "output": str(task.parent / "out"),
        "registry": Registry({"fakes": plugin or Plugin()}),
        "batch_size": 4,
        "metrics": "hits,seen",
        "report": False,
        "model_args": {"moody": True},
    }
    return vtbench.run("fake", [task], **{**given, **fields})


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A finished run."""
    return go(quiz(tmp_path, N, missing=[5])).path


def resumed(run: Path, **fields: Any) -> tuple[bytes, Plugin, list[str]]:
    """Resume a run; return its results, the plugin with the model that was asked, and the notes."""
    plugin, notes = Plugin(), Notes()
    again = go(run.parent.parent / "quiz.yaml", plugin, resume=True, listener=notes, **fields)
    assert again.path == run
    lines = (run / "samples.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["index"] for line in lines) == list(range(N))
    return (run / "results.json").read_bytes(), plugin, notes.lines


def edit(file: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_each_file_loses_the_scores_are_the_same(whole: Path, seed: int) -> None:
    results = (whole / "results.json").read_bytes()
    happened = crash(whole, Random(seed))
    assert resumed(whole)[0] == results, happened


@pytest.mark.parametrize("keep", [0, 3, 17])
def test_a_sample_without_its_arrays_is_not_done(whole: Path, keep: int) -> None:
    results = (whole / "results.json").read_bytes()
    edit(whole / ARRAYS, lambda lines: lines[:keep])
    found = read_task(whole, "quiz")
    assert len(found.records) == keep + 1, "and the one that failed"
    assert all(record.error or "z" in record.scores["seen"] for record in found.records)
    content, _, notes = resumed(whole)
    assert content == results
    assert any(f"{N - 1 - keep} samples without their arrays" in note for note in notes)


def test_so_is_one_of_an_older_version_whose_lines_do_not_name_their_arrays(whole: Path) -> None:
    results = (whole / "results.json").read_bytes()

    def older(lines: list[bytes]) -> list[bytes]:
        facts = [json.loads(line) for line in lines]
        return [json.dumps({k: v for k, v in f.items() if k != "arrays"}).encode() + b"\n" for f in facts]

    edit(whole / "samples.jsonl", older)
    assert read_task(whole, "quiz").missing(N) == [], "a whole older run opens as it is"
    edit(whole / ARRAYS, lambda lines: lines[:-2])
    assert len(read_task(whole, "quiz").missing(N)) == 2
    assert resumed(whole)[0] == results


def test_an_array_that_is_cut_is_missing(whole: Path) -> None:
    results = (whole / "results.json").read_bytes()

    def cut(lines: list[bytes]) -> list[bytes]:
        line = json.loads(lines[2])
        line["arrays"]["z"]["data"] = line["arrays"]["z"]["data"][:-8]
        return [*lines[:2], json.dumps(line).encode() + b"\n", *lines[3:]]

    edit(whole / ARRAYS, cut)
    assert read_task(whole, "quiz").missing(N) == [2]
    assert resumed(whole)[0] == results


def test_doubled_lines_count_once_and_are_told(whole: Path) -> None:
    results = (whole / "results.json").read_bytes()
    edit(whole / "samples.jsonl", lambda lines: lines + lines[10:13])
    edit(whole / ARRAYS, lambda lines: lines + lines)
    found = read_task(whole, "quiz")
    assert (len(found.records), found.doubled) == (N, 3)
    assert "3 samples of quiz twice" in found.remarks(N)[0]
    content, plugin, _ = resumed(whole)
    assert content == results
    assert plugin.model
    assert plugin.model.batches == [], "nothing was lost"


def test_lost_batch_lines_cost_no_second_question(whole: Path) -> None:
    results = (whole / "results.json").read_bytes()
    (whole / "batches.jsonl").write_bytes(b"\0" * 100)
    content, plugin, _ = resumed(whole)
    assert content == results
    assert plugin.model
    assert plugin.model.batches == []


@pytest.mark.parametrize("state", [b"", b"PK\3\4" + b"\0" * 300, None])
def test_a_damaged_state_is_fitted_again(whole: Path, state: bytes | None) -> None:
    results = (whole / "results.json").read_bytes()
    if state is None:
        (whole / STATE).unlink()
    else:
        (whole / STATE).write_bytes(state)
    content, plugin, notes = resumed(whole)
    assert content == results
    assert plugin.model
    assert plugin.model.shown == [(4, ("connector",)), (1, ("connector",))]
    assert state is None or any("basis.npz" in note for note in notes)


def test_samples_do_not_go_with_another_state(whole: Path) -> None:
    """A state that cannot be made again to the same digits would mix two coordinate systems in one score."""
    results = (whole / "results.json").read_bytes()
    run = json.loads((whole / "run.json").read_text())
    run["states"]["quiz"]["seen"] = "0" * 64
    (whole / "run.json").write_text(json.dumps(run))
    content, plugin, notes = resumed(whole)
    assert content == results
    assert plugin.model
    assert sum(size for size, _ in plugin.model.shown) >= N, "all samples are asked again"
    assert any("all samples are asked again" in note for note in notes)
    assert resumed(whole)[1].model.batches == []  # type: ignore[union-attr]


def test_a_state_that_is_not_of_the_run_is_not_used(whole: Path) -> None:
    results = (whole / "results.json").read_bytes()
    np.savez(whole / STATE, mean=np.ones((3, 2)), first=np.array(["x"]))
    edit(whole / "samples.jsonl", lambda lines: lines[:-3])
    assert resumed(whole)[0] == results


def test_report_and_compare_say_what_is_missing_and_show_the_rest(whole: Path) -> None:
    edit(whole / "samples.jsonl", lambda lines: lines[:4] + lines[10:] + lines[20:22])
    said: list[str] = []
    page = render(whole, warn=said.append)
    assert len(said) == 2
    assert "6 of 30 samples of quiz are missing (4-9)" in said[0]
    assert f"--resume {whole} asks them again" in said[0]
    assert "6 of 30 samples of quiz are missing" in page
    comparison = compare([whole, whole])
    assert comparison.tables["quiz"].shared.n_samples == (N, N)
    assert len(comparison.tables["quiz"].shared) == 24, "the failed one is among the missing"
    assert any("(4-9)" in remark for remark in comparison.remarks)


@pytest.mark.parametrize("content", [b"", b'{"results": ', b"\0" * 50, b"[]", b"{}", b"\xff\xfe"])
def test_damaged_results_are_one_line_and_a_way_on(whole: Path, content: bytes) -> None:
    results = (whole / "results.json").read_bytes()
    (whole / "results.json").write_bytes(content)
    for read in (lambda: render(whole), lambda: compare([whole, whole])):
        with pytest.raises(VtbenchError, match=rf"results\.json: broken: .*--resume {whole}"):
            read()
    assert resumed(whole)[0] == results


def test_a_run_does_not_end_with_scores_of_a_part(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loses samples in between, an executor or the disk, the run says which."""
    (whole / "results.json").unlink()

    def lose(self: RunWriter) -> None:
        edit(self.path / "samples.jsonl", lambda lines: lines[:7] + lines[9:])

    monkeypatch.setattr(RunWriter, "finish_samples", lose)
    with pytest.raises(ResultsError, match=r"2 of 30 samples of quiz are missing \(7-8\).*--resume"):
        go(whole.parent.parent / "quiz.yaml", resume=True)
    assert not (whole / "results.json").exists()


BROKEN = [b"", b'{"digest": "a', b"\0" * 40, b"[1]", b"null", b'{"digest": "abc"}', b"\xff", b"[" * 100_000]


def test_broken_and_foreign_directories_hide_no_run(whole: Path) -> None:
    for number, content in enumerate(BROKEN):
        (whole.parent / f"other-{number}").mkdir()
        (whole.parent / f"other-{number}" / "run.json").write_bytes(content)
    (whole.parent / "directory" / "run.json").mkdir(parents=True)
    skipped: list[str] = []
    found = runs(whole.parent, lambda path, why: skipped.append(why))
    assert [run["path"] for run in found] == [str(whole)]
    assert len(skipped) == len(BROKEN) + 1
    notes = resumed(whole)[2]
    assert sum("other-" in note for note in notes) == len(BROKEN)
    with pytest.raises(ResultsError, match=r"other-1/run\.json: broken"):
        go(whole.parent.parent / "quiz.yaml", resume=str(whole.parent / "other-1"))
    shutil.rmtree(whole)
    with pytest.raises(ResultsError, match=r"no run here to resume \(left out .*other-0/run\.json: broken"):
        go(whole.parent.parent / "quiz.yaml", resume=True)


def test_a_refused_resume_touches_no_file(whole: Path) -> None:
    live = RunWriter(whole, json.loads((whole / "run.json").read_text()))
    for name in ("samples.jsonl", "batches.jsonl", ARRAYS):  # as a write that has got half of its bytes out
        with (whole / name).open("ab") as file:
            file.write(b'{"task": "quiz", "ind')
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in whole.rglob("*") if file.is_file()}
    for resume in (True, str(whole)):
        with pytest.raises(ResultsError, match="another process is writing this run"):
            go(whole.parent.parent / "quiz.yaml", resume=resume)
    after = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in whole.rglob("*") if file.is_file()}
    assert after == before
    live.close()


def test_the_lock_stays_while_samples_are_rewritten(whole: Path) -> None:
    edit(whole / "samples.jsonl", lambda lines: [lines[0], b"\0\n", *lines[1:]])
    live = RunWriter(whole, json.loads((whole / "run.json").read_text()))
    assert b"\0" not in (whole / "samples.jsonl").read_bytes()
    with pytest.raises(ResultsError, match="another process is writing this run"):
        RunWriter(whole, {})
    live.close()
    RunWriter(whole, {}).close()


def test_facts_that_are_none_stay_in_run_json(whole: Path) -> None:
    writer = RunWriter(whole, json.loads((whole / "run.json").read_text()) | {"git": None})
    writer.update(finished=None, more=1)
    writer.close()
    run = json.loads((whole / "run.json").read_text())
    assert (run["git"], run["more"], "finished" in run) == (None, 1, False)


def test_index_ranges() -> None:
    assert index_ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert index_ranges(range(0, 40, 2)) == "0, 2, 4, 6, 8, 10, 12, 14, ..."


def test_what_a_long_run_needs_is_on_the_disk_before_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def sync(file: Path) -> None:
        lines = (
            (file.parent / "samples.jsonl") if file.parent.name != "visual" else file.parent.parent / "samples.jsonl"
        )
        written.append(f"{file.name} {len(lines.read_bytes().splitlines()) if lines.exists() else 0}")

    for module in ("writer", "run_files", "disk"):
        monkeypatch.setattr(f"vtbench.runs.{module}.sync_file", sync)
    go(quiz(tmp_path / "short", N))
    assert written == [], "a short run does not wait for the disk"
    monkeypatch.setattr("vtbench.runs.writer._SECONDS", -1.0)
    go(quiz(tmp_path / "long", N))
    first, last = written.index("run.json 4"), written.index("results.json.tmp 30")
    assert "quiz.seen.basis.npz.tmp 0" in written[:first]
    assert {"samples.jsonl 30", "quiz.seen.jsonl 30"} <= set(written[first:last])
    assert written[-1] == "run.json.tmp 30"
