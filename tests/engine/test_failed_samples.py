"""Failed samples that are asked again, a model that goes away in the middle, and answers that are paid for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from host_fakes import CHOICES, FakeModel, quiz, unit

import vtbench
from vtbench.adapter import Traits
from vtbench.budget import Budget
from vtbench.cli import status
from vtbench.errors import ModelUnavailable, SampleError, VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.types import Output, Sample

N = 20


class Server(FakeModel):
    """An endpoint as seen from here: it answers sample by sample, keeps the answers of a batch, and may go away."""

    traits = Traits(metered=True)

    def __init__(self) -> None:
        super().__init__(can=["generate"])
        self.busy: set[int] = set()
        """Samples that fail for now."""
        self.bad: set[int] = set()
        """Samples that always fail."""
        self.down_after: int | None = None
        """Number of answers after which it is away."""
        self.asked: list[int] = []
        """Index of every sample that was sent and answered."""
        self._kept: dict[int, Output] = {}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        for sample in samples:
            if sample.index in self._kept:
                continue
            if self.down_after is not None and len(self.asked) >= self.down_after:
                raise ModelUnavailable("model 'server': http://x went away", answered=self._kept)
            if sample.index in self.busy | self.bad:
                raise SampleError(f"no answer to {sample.index}", transient=sample.index in self.busy)
            self.asked.append(sample.index)
            text = CHOICES[unit(sample.prompt) < 0.5]
            self._kept[sample.index] = Output(text=text, tokens_out=2)
        return [replace(self._kept[sample.index]) for sample in samples]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def go(tmp_path: Path, server: Server) -> Callable[..., RunResult]:
    task = quiz(tmp_path, N)

    class Plugin:
        @hookimpl
        def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
            return {"server": lambda: server}

    from host_fakes import Plugin as Fakes

    registry = Registry({"fakes": Fakes(), "server": Plugin()})

    def run(**fields: Any) -> RunResult:
        server.asked.clear()
        server._kept.clear()
        given = {"output": str(tmp_path / "out"), "batch_size": 4, "report": False}
        return vtbench.run("server", [task], registry=registry, **{**given, **fields})

    return run


def stored(path: Path) -> dict[int, dict[str, Any]]:
    lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(N)), "each index exactly once"
    return {line["index"]: line for line in lines}


def failed(path: Path) -> list[int]:
    return sorted(index for index, line in stored(path).items() if line["error"] is not None)


def test_resume_asks_failed_samples_again_and_no_others(go: Callable[..., RunResult], server: Server) -> None:
    server.busy, server.bad = {1, 6, 7, 19}, {2, 6}
    whole = go()
    assert failed(whole.path) == [1, 2, 6, 7, 19]
    assert {index for index, line in stored(whole.path).items() if line["transient"]} == {1, 6, 7, 19}
    assert whole.exit_status == 1
    assert whole.document["transient"] == {"quiz": 4}
    server.busy = {7}
    assert go(resume=True).path == whole.path
    assert server.asked == [1, 19]
    assert failed(whole.path) == [2, 6, 7]
    assert stored(whole.path)[6]["transient"] is False, "what it says now"
    server.busy, server.bad = set(), set()
    go(resume=True)
    assert (server.asked, failed(whole.path)) == ([7], [2, 6])
    go(resume=True)
    assert server.asked == []
    healed = go(resume=True, retry_failed=True)
    assert (server.asked, failed(whole.path)) == ([2, 6], [])
    assert healed.exit_status == 0
    assert healed.document["failed"] == {"quiz": 0}
    assert "transient" not in healed.document
    assert healed.document["scores"] == go(output=str(whole.path.parent) + "-whole").document["scores"]


def test_no_retry_failed_asks_nothing(go: Callable[..., RunResult], server: Server) -> None:
    server.busy = {3, 4}
    path = go().path
    server.busy = set()
    go(resume=True, retry_failed=False)
    assert (server.asked, failed(path)) == ([], [3, 4])
    go(resume=True)
    assert failed(path) == []


def test_all_samples_may_have_failed(go: Callable[..., RunResult], server: Server) -> None:
    """As after an outage that began with the first request, of a batch that is smaller than what ends a run at once."""
    server.busy, server.bad = set(range(10)), set(range(10, N))
    path = go(batch_size=1, max_failed=1.0, limit=7).path
    server.busy, server.bad = set(), set()
    assert go(limit=7, resume=True).document["n-samples"]["quiz"] == {"original": 7, "effective": 7}
    assert len((path / "samples.jsonl").read_text().splitlines()) == 7


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("answers", [1, 5, 10, 19])
def test_a_model_that_goes_away_ends_the_run_with_all_its_answers(
    go: Callable[..., RunResult], server: Server, tmp_path: Path, size: int, answers: int
) -> None:
    whole = go(output=str(tmp_path / "whole")).document
    server.down_after = answers
    with pytest.raises(ModelUnavailable, match=rf"went away; {answers} answered samples of 20 are kept in .*--resume"):
        go(batch_size=size)
    (path,) = (tmp_path / "out").iterdir()
    kept = {json.loads(line)["index"] for line in (path / "samples.jsonl").read_text().splitlines()}
    assert kept == set(range(answers))
    assert not (path / "results.json").exists()
    server.down_after = None
    again = go(batch_size=size, resume=True)
    assert again.path == path
    assert server.asked == list(range(answers, N)), "nothing that was answered is asked twice"
    assert again.document == whole


def test_it_is_one_line_and_exit_status_2(
    go: Callable[..., RunResult], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from host_fakes import Plugin as Fakes

    class Plugin(Fakes):
        @hookimpl
        def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
            return {"server": lambda: server}

    server.down_after = 6
    command = ["run", "--model", "server", "--tasks", str(tmp_path / "quiz.yaml"), "--output", str(tmp_path / "out")]
    command += ["--batch-size", "4", "--no-report"]
    assert status(command, Registry({"server": Plugin()})) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vtbench:")]
    assert "went away; 6 answered samples of 20 are kept in" in line
    server.down_after, server.busy = None, {9, 11}
    assert status([*command, "--resume"], Registry({"server": Plugin()})) == 1
    assert "2 samples failed; samples.jsonl has the errors; 2 of them may be" in capsys.readouterr().out
    server.busy = set()
    for retry in ("--retry-failed", "--no-retry-failed"):
        assert status([*command, "--resume", retry], Registry({"server": Plugin()})) == 0


def test_an_outage_in_a_retry_keeps_what_there_was(go: Callable[..., RunResult], server: Server) -> None:
    server.busy = {3, 8, 9, 12}
    path = go().path
    server.busy, server.down_after = set(), 2
    with pytest.raises(ModelUnavailable, match="18 answered samples of 20 are kept"):
        go(resume=True)
    assert "finished" not in json.loads((path / "run.json").read_text()), "results.json is of other answers now"
    server.down_after = None
    go(resume=True)
    assert server.asked == [9, 12]
    assert failed(path) == []


def test_of_paid_answers_a_torn_batch_is_not_asked_again(go: Callable[..., RunResult], server: Server) -> None:
    path = go().path
    samples = path / "samples.jsonl"
    lines = samples.read_bytes().splitlines(keepends=True)
    samples.write_bytes(b"".join(lines[:9]) + lines[9][:20])
    go(resume=True)
    assert server.asked == list(range(9, N))
    server.traits = Traits()
    other = go(output=str(path.parent) + "-free")
    (other.path / "samples.jsonl").write_bytes(b"".join(lines[:9]).replace(b'"tokens_out": 2', b'"tokens_out": null'))
    go(output=str(path.parent) + "-free", resume=True)
    assert set(server.asked) == set(range(8, N)), "rounding may depend on the batch, so it is asked as it was"


def test_half_a_character_ends_no_run(go: Callable[..., RunResult], server: Server, tmp_path: Path) -> None:
    """In an endpoint's text, in its reasoning, and in an error."""
    answer = server.generate

    def generate(samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        if any(sample.index == 5 for sample in samples) and len(samples) == 1:
            raise SampleError("it said \udc00")
        if any(sample.index == 5 for sample in samples):
            raise ValueError("\ud800")
        return [replace(output, text="yes \ud83d", reasoning="\udfff") for output in answer(samples, max_new_tokens)]

    server.generate = generate  # type: ignore[method-assign, assignment]
    result = go(report=True)
    lines = stored(result.path)
    assert (lines[0]["output"], lines[0]["reasoning"]) == ("yes \\ud83d", "\\udfff")
    assert lines[5]["error"] == "it said \\udc00"
    for name in ("samples.jsonl", "results.json", "report.html", "run.json", "batches.jsonl"):
        (result.path / name).read_bytes().decode("utf-8")
    assert "yes \\\\ud83d" in (result.path / "report.html").read_text()


def test_a_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = vtbench.RunConfig(model="echo", tasks=["relational"])
    assert config.output == "results"
    from vtbench.config import checked

    found = checked({"model": "echo", "tasks": "relational", "output": "~/runs", "resume": "~/runs/a"})
    assert (found.output, found.resume) == (f"{tmp_path}/home/runs", f"{tmp_path}/home/runs/a")
    assert checked({"model": "echo", "tasks": "relational", "output": "a/~/b"}).output == "a/~/b"
    with pytest.raises(VtbenchError, match=r"--output: ~no_such_user_here/x: there is no home directory"):
        checked({"model": "echo", "tasks": "relational", "output": "~no_such_user_here/x"})
