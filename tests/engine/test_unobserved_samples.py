"""A metric never costs an answer: what it cannot observe is missing from it alone, and the results say so."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_fakes import FakeModel, Frugal, Hits, Seen, quiz, unit
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import vtbench
from vtbench.budget import Budget
from vtbench.console.tables import show_scores
from vtbench.engine.fitting import TRIED
from vtbench.engine.rescore import rescore
from vtbench.engine.visual import take_visual_tokens
from vtbench.errors import AdapterError, ModelUnavailable, OutOfMemory, SampleError
from vtbench.hookspecs import hookimpl
from vtbench.metric import Batch
from vtbench.registry import Registry
from vtbench.report import render
from vtbench.runs.results import RunResult
from vtbench.types import Observation, Output, Sample, VisualTokens

N = 12
ERRORS: Mapping[str, Callable[[], Exception]] = {
    "refused": lambda: SampleError("an image without tokens"),
    "bug": lambda: IndexError("of a tile"),
    "memory": lambda: OutOfMemory("too large"),
}


@dataclass
class Trouble:
    """What goes wrong, by the index of the sample."""

    showing: Mapping[int, str]
    """How `visual_tokens` fails (a name of `ERRORS`, or `nan`)."""
    observing: frozenset[int] = frozenset()
    """What the visual metric cannot observe."""
    under_budget: frozenset[int] = frozenset()
    """What the model cannot answer under a budget."""
    counts: Mapping[int, int] | None = None
    """Numbers of visual tokens; by default 3."""


class Troubled(FakeModel):
    """Its answers come without trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(can=["generate", "rank", "visual_tokens", "budget"])
        self.trouble = trouble

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        if budget is not None and any(sample.index in self.trouble.under_budget for sample in samples):
            raise SampleError("too few tokens")
        return super().generate(samples, max_new_tokens, budget)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        kinds = [self.trouble.showing.get(sample.index) for sample in samples]
        for kind in kinds:
            if kind in ERRORS:
                raise ERRORS[kind]()
        counts = {(self.trouble.counts or {}).get(sample.index, 3) for sample in samples}
        if len(counts) > 1:
            raise SampleError("unequal numbers of visual tokens")
        shape = (len(samples), counts.pop(), 2)
        tokens = np.array([unit(s.prompt, i) for s in samples for i in range(shape[1] * 2)]).reshape(shape)
        tokens[[kind == "nan" for kind in kinds]] = np.nan
        return [VisualTokens(layer, tokens) for layer in layers]


class Choosy(Seen):
    """Observes tokens of the number that the first samples had."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble = trouble

    def partial_fit(self, batch: Batch) -> None:
        if self.first and batch.visual["connector"].tokens.shape[1:] != self.total.shape:
            raise SampleError("another number of tokens")
        super().partial_fit(batch)

    def observe(self, batch: Batch) -> list[Observation]:
        assert self.mean is not None
        if batch.visual["connector"].tokens.shape[1:] != self.mean.shape:
            raise SampleError("another number of tokens")
        if any(sample.index in self.trouble.observing for sample in batch.samples):
            raise ZeroDivisionError("no spread")
        return super().observe(batch)


def go(trouble: Trouble, task: Path, metrics: Sequence[str] = ("hits", "choosy"), **fields: Any) -> RunResult:
    class Plugin:
        @hookimpl
        def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
            return {"troubled": lambda: Troubled(trouble)}

        @hookimpl
        def vtbench_metrics(self) -> dict[str, Callable[..., Any]]:
            return {"hits": Hits, "choosy": lambda: Choosy(trouble), "frugal": Frugal}

    given = {"metrics": list(metrics), "output": str(task.parent / "out"), "report": False} | fields
    return vtbench.run("troubled", [task], registry=Registry({"troubled": Plugin()}), **given)


def lines(result: RunResult) -> list[dict[str, Any]]:
    found = map(json.loads, (result.path / "samples.jsonl").read_text().splitlines())
    return sorted(found, key=lambda line: line["index"])


def subsets() -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(0, N - 1))


troubles = st.builds(
    Trouble,
    st.dictionaries(st.integers(0, N - 1), st.sampled_from([*ERRORS, "nan"])),
    subsets(),
    subsets(),
    st.dictionaries(st.integers(0, N - 1), st.integers(1, 4)),
)


@settings(max_examples=60, deadline=None)
@given(trouble=troubles, size=st.integers(1, N + 1))
def test_answers_are_those_of_a_run_without_the_troubled_metrics(trouble: Trouble, size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        task = quiz(Path(directory), N)
        alone = go(trouble, task, ["hits"], batch_size=size)
        result = go(trouble, task, ["hits", "choosy", "frugal"], batch_size=size)
        assert result.exit_status == 0
        assert result.scores["quiz"]["acc"] == alone.scores["quiz"]["acc"]
        assert result.scores["quiz"]["weight"].value == alone.scores["quiz"]["weight"].value
        document = result.document
        for line, other in zip(lines(result), lines(alone), strict=True):
            assert line["error"] is None
            assert line["output"] == other["output"]
            assert line["scores"]["hits"] == other["scores"]["hits"]
            assert ("frugal" in line["unobserved"]) == (line["index"] in trouble.under_budget)
            if "choosy" not in document["left_out"]["quiz"]:
                assert ("choosy" in line["scores"]) != ("choosy" in line["unobserved"])
                if line["index"] in {*trouble.showing, *trouble.observing}:
                    assert "choosy" in line["unobserved"]
        seen = sum("choosy" in line["scores"] for line in lines(result))
        if seen:
            score = result.scores["quiz"]["seen"]
            assert score.n == seen
            assert ("unobserved" in score.flags) == (seen < N)
            assert document.get("unobserved", {}).get("quiz", {}).get("choosy", {}).get("samples", 0) == N - seen
        else:
            assert "choosy" in document["left_out"]["quiz"]


@settings(max_examples=25, deadline=None)
@given(trouble=troubles, kept=st.integers(0, N - 1))
def test_a_resumed_run_has_the_same_gaps(trouble: Trouble, kept: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        task = quiz(Path(directory), N)
        first = go(trouble, task, batch_size=3)
        before = (first.path / "results.json").read_bytes()
        samples = first.path / "samples.jsonl"
        samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:kept]))
        again = go(trouble, task, batch_size=3, resume=True)
        assert again.path == first.path
        assert (first.path / "results.json").read_bytes() == before


def test_samples_of_each_token_count_are_shown_together() -> None:
    sizes = [(4, 4), (8, 4), (4, 4), (8, 4), (4, 4)]
    samples = [Sample(str(i), i, (Image.new("RGB", size),), "q", "yes") for i, size in enumerate(sizes)]
    model = Troubled(Trouble({}, counts={1: 5, 3: 5}))
    found, why = take_visual_tokens(samples, range(5), model, ["connector"], "the model")
    assert [(group.rows, group.visual["connector"].tokens.shape) for group in found] == [
        ((0, 2, 4), (3, 3, 2)),
        ((1, 3), (2, 5, 2)),
    ]
    assert why == {}


def test_table_and_report_say_on_how_many_samples_a_metric_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = go(Trouble({3: "refused", 5: "refused", 7: "bug"}), quiz(tmp_path, N))
    show_scores(result, stderr=False)
    bug = "no visual tokens: IndexError: of a tile"
    said = f"choosy stands on 9 of 12 samples, not on: 2 (no visual tokens: an image without tokens), 1 ({bug}"
    assert said in capsys.readouterr().out
    assert said in render(result.path)
    assert "choosy stands" not in render(go(Trouble({}), quiz(tmp_path, N)).path)


def test_a_metric_that_no_sample_can_serve_is_left_out_with_its_reason(tmp_path: Path) -> None:
    everything = dict.fromkeys(range(2 * TRIED), "refused")
    result = go(Trouble(everything), quiz(tmp_path, 2 * TRIED))
    assert result.document["left_out"]["quiz"] == {"choosy": "no visual tokens: an image without tokens"}
    assert "acc" in result.scores["quiz"]
    assert result.exit_status == 0
    unseen = go(Trouble({}, frozenset(range(N))), quiz(tmp_path, N))
    assert unseen.document["left_out"]["quiz"]["choosy"].startswith(
        "no sample could be observed: observe failed: ZeroDi"
    )
    assert "acc" in unseen.scores["quiz"]


def test_a_metric_is_fitted_on_a_later_sample_if_its_first_ones_fail(tmp_path: Path) -> None:
    result = go(Trouble(dict.fromkeys(range(7), "refused")), quiz(tmp_path, N))
    with np.load(result.path / "visual" / "quiz.choosy.basis.npz") as basis:
        assert basis["first"].tolist() == ["question 7?"]
    assert result.scores["quiz"]["seen"].n == 5


def test_what_could_not_be_fitted_stays_so_until_failed_samples_are_asked_again(tmp_path: Path) -> None:
    task, trouble = quiz(tmp_path, N), Trouble(dict.fromkeys(range(N), "refused"))
    first = go(trouble, task)
    trouble.showing = {}
    assert "seen" not in go(trouble, task, resume=True).scores["quiz"]
    found = go(trouble, task, resume=True, retry_failed=True)
    assert found.path == first.path
    assert found.scores["quiz"]["seen"].n == N
    assert found.document["left_out"]["quiz"] == {}


SHAPELESS = "model 'troubled': visual_tokens returned tokens of shape (1, 2) at layer 'connector' for 1 samples"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (AdapterError("its tiles have no tokens"), "its tiles have no tokens"),
        ([VisualTokens("connector", np.zeros((1, 2)))], SHAPELESS),
    ],
)
def test_a_model_whose_visual_tokens_are_wrong_keeps_its_answers(
    fault: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def visual_tokens(self: Troubled, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        if isinstance(fault, Exception):
            raise fault
        return fault

    monkeypatch.setattr(Troubled, "visual_tokens", visual_tokens)
    result = go(Trouble({}), quiz(tmp_path, N))
    assert result.exit_status == 0
    assert result.scores["quiz"]["acc"].n == N
    assert result.document["left_out"]["quiz"]["choosy"].startswith(f"no visual tokens: {why}")


def test_what_a_metric_cannot_read_of_an_answer_is_no_error_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def observe(self: Frugal, batch: Batch) -> list[Observation]:
        raise AdapterError("the model does not report how many tokens it read")

    monkeypatch.setattr(Frugal, "observe", observe)
    result = go(Trouble({}), quiz(tmp_path, N), ["hits", "frugal"])
    assert result.exit_status == 0
    reason = result.document["left_out"]["quiz"]["frugal"]
    assert reason == "no sample could be observed: the model does not report how many tokens it read"


def test_a_model_that_goes_away_while_it_shows_tokens_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def visual_tokens(self: Troubled, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        raise ModelUnavailable("no connection")

    monkeypatch.setattr(Troubled, "visual_tokens", visual_tokens)
    with pytest.raises(ModelUnavailable, match="no connection"):
        go(Trouble({}), quiz(tmp_path, N))


def test_samples_with_unequal_counts_may_come_in_one_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = go(Trouble({}, counts={1: 5, 3: 5}), quiz(tmp_path, N), batch_size=1)

    def visual_tokens(self: Troubled, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        alone = [shown(self, [sample], layers)[0].tokens[0] for sample in samples]
        return [VisualTokens(layer, alone) for layer in layers]

    shown = Troubled.visual_tokens
    monkeypatch.setattr(Troubled, "visual_tokens", visual_tokens)
    together = go(Trouble({}, counts={1: 5, 3: 5}), quiz(tmp_path, N), batch_size=5)
    assert together.scores == apart.scores


def test_tokens_of_unequal_counts_are_grouped_with_their_own_boxes() -> None:
    def visual_tokens(samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        boxes = [np.linspace(0, 1, s.index + 1)[:, None] * np.ones(4) if s.index else None for s in samples]
        return [VisualTokens(layer, [np.full((s.index + 1, 2), s.index) for s in samples], boxes) for layer in layers]

    model = Troubled(Trouble({}))
    model.visual_tokens = visual_tokens  # type: ignore[method-assign]
    samples = [Sample(str(i), index, (Image.new("RGB", (4, 4)),), "q", "yes") for i, index in enumerate((2, 0, 2, 1))]
    found, why = take_visual_tokens(samples, range(4), model, ["connector"], "the model")
    assert [group.rows for group in found] == [(0, 2), (1,), (3,)]
    assert [group.visual["connector"].tokens.tolist() for group in found[1:]] == [[[[0, 0]]], [[[1, 1], [1, 1]]]]
    assert [np.shape(group.visual["connector"].boxes) for group in found] == [(3, 4), (), (2, 4)]
    assert why == {}


@pytest.mark.parametrize("kind", [*ERRORS, "fault"])
def test_a_ranking_that_fails_costs_no_generated_answer(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked = Troubled.rank

    def rank(self: Troubled, samples: Sequence[Sample], *more: Any) -> list[Output]:
        if any(sample.index in (2, 5) for sample in samples):
            raise ERRORS[kind]() if kind in ERRORS else AdapterError("no logits")
        return ranked(self, samples, *more)

    monkeypatch.setattr(Troubled, "rank", rank)
    result = go(Trouble({}), quiz(tmp_path, N), ["accuracy", "rank_accuracy"], batch_size=4)
    assert result.exit_status == 0
    assert result.scores["quiz"]["acc"].n == N
    assert result.scores["quiz"]["rank_acc"].n == N - 2
    for line in lines(result):
        assert line["error"] is None
        assert line["output"]
        assert (line["logprobs"] is None) == (line["index"] in (2, 5))
        assert ("no ranking: " in line["unobserved"].get("rank_accuracy", "")) == (line["index"] in (2, 5))


def test_a_ranking_that_may_come_next_time_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rank(self: Troubled, samples: Sequence[Sample], *more: Any) -> list[Output]:
        raise SampleError("busy", transient=True)

    with monkeypatch.context() as patched:
        patched.setattr(Troubled, "rank", rank)
        result = go(Trouble({}), quiz(tmp_path, 4), ["accuracy", "rank_accuracy"], max_failed=1.0)
        assert all(line["transient"] for line in lines(result))
    again = go(Trouble({}), quiz(tmp_path, 4), ["accuracy", "rank_accuracy"], max_failed=1.0, resume=True)
    assert again.scores["quiz"]["rank_acc"].n == 4


def test_rescoring_keeps_what_was_not_observed(tmp_path: Path) -> None:
    trouble = Trouble({2: "refused"})
    first = go(trouble, quiz(tmp_path, N))

    class Plugin:
        @hookimpl
        def vtbench_metrics(self) -> dict[str, Callable[..., Any]]:
            return {"hits": Hits, "choosy": lambda: Choosy(trouble)}

    again = rescore(first.path, in_place=True, registry=Registry({"metrics": Plugin()}))
    assert again is not None
    assert again.document["unobserved"] == first.document["unobserved"]
    assert again.scores == first.scores


def test_a_run_without_any_score_is_not_a_success(tmp_path: Path) -> None:
    task = quiz(tmp_path, N)
    assert go(Trouble({}, under_budget=frozenset(range(N))), task, ["frugal"]).exit_status == 1
    with pytest.raises(AdapterError, match=r"no metric is left to compute \(choosy: no visual tokens"):
        go(Trouble(dict.fromkeys(range(N), "bug")), task, ["choosy"])
