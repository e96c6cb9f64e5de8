"""Mistakes planted in an adapter, a metric, a budget and an executor: each is found, and named in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import contract_fakes
import numpy as np
import pytest
from contract_fakes import PLANTED, Good

import vtbench
from vtbench import (
    BaseMetric,
    Batch,
    Observation,
    Output,
    Record,
    Registry,
    Sample,
    Score,
    Traits,
    VisualTokens,
    VtbenchError,
)
from vtbench.cli import status
from vtbench.engine.local import Local
from vtbench.executor import BatchResult, Job, JobResult, Notify, Work, WorkerPool
from vtbench.testing import (
    Check,
    adapter_checks,
    assert_checks,
    budget_checks,
    executor_checks,
    metric_checks,
    run_checks,
)

FOUND = {
    "7 log-probabilities for 8 choices": "rank returned 7 log-probabilities for the 8 choices",
    "2-D visual tokens": "tokens of shape (64, 48) at layer 'encoder' for 9 samples; expected (9, tokens, width)",
    "an output too few": "generate returned 8 outputs for 9 samples; expected one for each sample",
    "texts in another order": "expected one answer for each sample, in the order of the samples",
    "log-probabilities in another order": "rank gives the answer to sample relational/test/0/0 in the place of",
    "visual tokens in another order": "visual_tokens gives the answer to sample relational/test/0/0 in the place of",
    "a changed image": "generate changed `images` of sample relational/test/0/0; expected to leave samples as they are",
    "a changed sample": "rank changed `meta` of sample relational/test/0/0; expected to leave samples as they are",
    "other texts in a batch": "alone and in a batch of 2; expected the same (is padding masked?)",
    "other log-probabilities in a batch": "rank gives log-probabilities that differ by 0.01",
    "another answer each time": "for sample relational/test/0/0 when asked twice; expected the same answer",
    "another answer of each instance": "from two adapters of the same settings; expected the same answer",
    "log-probabilities that are NaN": "the log-probabilities of relational/test/0/0 are not finite numbers",
    "visual tokens that are NaN": "visual tokens at layer 'encoder' are NaN or infinite",
    "a layer too few": "returned the layers 'encoder'; expected 'encoder', 'connector', as asked for and in that order",
    "no layers": "layers is (); expected `connector` as the first name",
    "an unknown layer": "visual_tokens accepted the layer 'nosuchlayer', which is not in `layers`; expected",
    "a description that is no JSON": "describe() is not JSON: Object of type PosixPath is not JSON serializable",
    "positive log-probabilities": "expected the logarithm of a probability in nats, at most 0",
    "boxes in pixels": "boxes from 0 to 64 at layer 'encoder'; expected left, top, right, bottom as fractions",
    "whole is not whole": "without a budget and under 'all tokens', which keeps every token; expected the same answer",
    "tokens_in does not shrink": "under 'first 3 tokens', as many as with all visual tokens; expected 74",
    "a budget that stays": "before a call under a budget and after it; expected the same answer",
    "weights that are not looked at": "the budget 'broken' is accepted; expected its PluginError",
    "a text that is none": "generate returned the text None for sample relational/test/0/0; expected a string",
    "a text instead of an output": "generate returned a str for sample relational/test/0/0; expected an Output",
    "no log-probabilities": "rank returned no log-probabilities for the 4 choices of sample relational/test/0/0",
    "an unknown capability": "capabilities names sing; expected some of generate, rank, visual_tokens, budget, train",
    "an error in the model": "IndexError: list index out of range (contract_fakes.py:",
}


def the_line(checks: Sequence[Check]) -> str:
    """Return the one reason that checks give."""
    (failed,) = [result for result in run_checks(checks) if not result.passed and not result.blocked]
    assert failed.reason
    assert "\n" not in failed.reason
    return failed.reason


def test_an_adapter_without_a_mistake_passes() -> None:
    assert_checks(adapter_checks(Good))


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_in_an_adapter_is_one_line(name: str) -> None:
    assert FOUND[name] in the_line(adapter_checks(PLANTED[name]))


def test_an_adapter_without_a_method_is_told_what_it_lacks() -> None:
    class Half:
        capabilities, image_size, layers = frozenset({"generate"}), None, ()

        def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
            return [Output(text="yes")] * len(samples)

    line = the_line(adapter_checks(Half))
    assert all(f"`{name}`" in line for name in ("rank", "visual_tokens", "describe", "close"))
    assert "expected all of vtbench.Adapter (BaseAdapter has defaults)" in line


# The same mistakes in a run

IN_A_RUN = {
    "7 log-probabilities for 8 choices": ("rank_accuracy", "rank returned 7 log-probabilities for the 8 choices of"),
    "2-D visual tokens": (
        "geometry",
        "visual_tokens returned tokens of shape (64, 48) at layer 'connector'",
    ),
    "an output too few": ("accuracy", "generate returned 7 outputs for 8 samples; expected one for each sample"),
    "texts in another order": ("accuracy", "returned its answers in another order than the samples; expected one per"),
    "log-probabilities in another order": ("rank_accuracy", "returned its answers in another order than the samples"),
    "a changed image": (
        "accuracy",
        "changed an image of sample attribute/test/0/0 in place; expected to leave samples",
    ),
    "other texts in a batch": (
        "accuracy",
        "gave 8 of 8 samples another answer in a batch than alone; expected the same",
    ),
    "log-probabilities that are NaN": ("rank_accuracy", "the log-probabilities of attribute/test/0/0 are not finite"),
    "visual tokens that are NaN": ("geometry", "visual tokens at layer 'connector' are NaN or infinite"),
    "no layers": ("geometry", "has no layer 'connector'"),
    "positive log-probabilities": ("rank_accuracy", "expected the logarithm of a probability in nats, at most 0"),
    "boxes in pixels": (
        "geometry",
        "returned boxes from 0 to 64 at layer 'connector'; expected left, top, right, bottom",
    ),
    "a text that is none": (
        "accuracy",
        "generate returned the text None for sample attribute/test/0/0; expected a string",
    ),
    "a text instead of an output": (
        "accuracy",
        "generate returned a str for sample attribute/test/0/0; expected an Output",
    ),
    "no log-probabilities": ("rank_accuracy", "rank returned no log-probabilities for the 8 choices of"),
    "an unknown capability": (
        "accuracy",
        "expected a frozenset of some of generate, rank, visual_tokens, budget, train",
    ),
    "an error in the model": ("rank_accuracy", "IndexError: list index out of range (contract_fakes.py:"),
}


def registry() -> Registry:
    import vtbench_redundancy

    return Registry({"planted": contract_fakes.Plugin(), "redundancy": vtbench_redundancy})


def run_status(tmp_path: Path, model: str, metrics: str, *more: str, plugins: Registry | None = None) -> int:
    command = ["run", "--model", model, "--tasks", "attribute", "--limit", "16", "--output", str(tmp_path / "out")]
    return status([*command, "--metrics", metrics, "--no-report", *more], plugins or registry())


@pytest.mark.parametrize("name", IN_A_RUN)
def test_a_mistake_in_an_adapter_ends_a_run_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric, expected = IN_A_RUN[name]
    assert run_status(tmp_path, name, metric) == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vtbench: ")
    assert expected in line
    assert name in line or name == "an error in the model", "the model is named"
    assert not list(tmp_path.glob("out/*/results.json")), "no score of misplaced answers"


def test_a_run_without_a_mistake_has_scores(tmp_path: Path) -> None:
    assert run_status(tmp_path, "good", "accuracy,rank_accuracy,geometry") == 0


def test_a_batch_whose_order_is_wrong_is_found_by_check_batching_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_status(tmp_path, "texts in another order", "accuracy", "--check-batching") == 1
    assert run_status(tmp_path, "an output too few", "accuracy", "--check-batching") == 2
    assert "generate returned 0 outputs for 1 samples" in capsys.readouterr().err


def test_a_model_that_is_paid_by_tokens_is_asked_nothing_twice(tmp_path: Path) -> None:
    asked: list[str] = []

    class Paid(Good):
        traits = Traits(metered=True)

        def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Any = None) -> list[Output]:
            asked.extend(sample.id for sample in samples)
            return [replace(output, tokens_out=1) for output in super().generate(samples, max_new_tokens, budget)]

    paid = Registry({"paid": plugin(adapter=Paid)})
    assert run_status(tmp_path, "mine", "accuracy", plugins=paid) == 0
    assert len(asked) == len(set(asked)) == 16


def test_answers_that_rounding_changes_do_not_end_a_run(tmp_path: Path) -> None:
    """Two of the first eight samples have another answer in a batch, as bfloat16 may."""

    class Rounded(Good):
        def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Any = None) -> list[Output]:
            outputs = super().generate(samples, max_new_tokens, budget)
            return [
                replace(output, text=f"{output.text}?") if len(samples) > 1 and sample.index in (0, 5) else output
                for sample, output in zip(samples, outputs, strict=True)
            ]

    assert run_status(tmp_path, "mine", "accuracy", plugins=Registry({"r": plugin(adapter=Rounded)})) == 0


def plugin(adapter: Callable[[], Any] | None = None, metric: Callable[[], Any] | None = None) -> Any:
    """Return a plugin with a model or a metric that is called `mine`."""

    class Plugin:
        @vtbench.hookimpl
        def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
            return {"mine": adapter, "good": Good} if adapter else {"good": Good}

        @vtbench.hookimpl
        def vtbench_metrics(self) -> dict[str, Callable[..., Any]]:
            return {"mine": metric} if metric else {}

    return Plugin()


# Metrics


class Length(BaseMetric):
    """Number of words."""

    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        return {"words": len((output.text or "").split())}


class OneTooFew(Length):
    def observe(self, batch: Batch) -> list[Observation]:
        return super().observe(batch)[1:]


class Numbers(Length):
    def observe(self, batch: Batch) -> list[Any]:
        return [observation["words"] for observation in super().observe(batch)]


class Objects(Length):
    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        return {"output": output}


class NotANumber(Length):
    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        return {"words": float("nan")}


class Centred(Length):
    def observe(self, batch: Batch) -> list[Observation]:
        seen = [observation["words"] for observation in super().observe(batch)]
        return [{"words": count - float(np.mean(seen))} for count in seen]


class ReversedObservations(Length):
    def observe(self, batch: Batch) -> list[Observation]:
        return super().observe(batch)[::-1]


class PaintsToo(Length):
    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        sample.images[0].paste((0, 0, 0), (0, 0, 9, 9))
        return super().observe_sample(sample, output)


class FirstCounts(Length):
    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"words": Score(float(observations[0]["words"]))} if observations else {}


class TupleKeys(Length):
    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        return {"words": (len(output.text or ""), 1)}

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        pairs = [observation["words"] for observation in observations]
        return {"pairs": Score(float(sum(isinstance(pair, tuple) for pair in pairs)))} if pairs else {}


class DividesByZero(Length):
    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"words": Score(sum(o["words"] for o in observations) / len(observations))}


class Zero(Length):
    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"words": Score(float(sum(o["words"] for o in observations)))}


class Floats(Length):
    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> Any:
        return {"words": 1.0} if observations else {}


class Outside(Length):
    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"words": Score(1.0, interval=(2.0, 3.0))} if observations else {}


class NeedsAnything(Length):
    needs = ("generate",)  # type: ignore[assignment]


METRICS: Mapping[type[Length], str] = {
    OneTooFew: "observe returned 23 observations for 24 samples; expected one for each sample",
    Numbers: "observe returned an int for sample relational/test/0/0; expected a mapping of values by name",
    Objects: "observe returned an Output under 'output' for sample relational/test/0/0; expected numbers, strings",
    NotANumber: "is not JSON: Out of range float values are not JSON compliant",
    Centred: "in a batch of 24 and {'words': 0.0} in one of 1; expected the same, in the order of the batch",
    ReversedObservations: "in one of 1; expected the same, in the order of the batch",
    PaintsToo: "observe changed `images` of sample relational/test/0/0; expected to leave samples as they are",
    FirstCounts: "from the same samples in another order; expected the same",
    TupleKeys: "from what was written and read again; expected the same",
    DividesByZero: "compute failed: ZeroDivisionError: division by zero (test_planted_mistakes.py:",
    Zero: "compute: 'words' of no observations is 0.0; expected None, or no such score",
    Floats: "compute returned float as 'words'; expected a Score",
    Outside: "compute: 'words' is 1, outside of its interval [2, 3]",
    NeedsAnything: "needs is ('generate',); expected a frozenset of generate, rank, visual_tokens, budget, train",
}
IN_A_RUN_TOO = (OneTooFew, Numbers, Objects, PaintsToo, Floats, NeedsAnything)


def test_a_metric_without_a_mistake_passes() -> None:
    assert_checks(metric_checks(Length))


@pytest.mark.parametrize("kind", METRICS, ids=lambda kind: kind.__name__)
def test_a_mistake_in_a_metric_is_one_line(kind: type[Length]) -> None:
    failed = [r for r in run_checks(metric_checks(kind)) if not r.passed and not r.blocked]
    assert METRICS[kind] in (failed[0].reason or "")


@pytest.mark.parametrize("kind", IN_A_RUN_TOO, ids=lambda kind: kind.__name__)
def test_a_mistake_in_a_metric_ends_a_run_in_one_line(
    kind: type[Length], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_status(tmp_path, "good", "mine", plugins=Registry({"mine": plugin(metric=kind)})) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vtbench: ")]
    assert "metric 'mine'" in line
    assert "expected" in line


def test_an_error_of_a_metric_is_one_line_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Breaks(Length):
        def observe_sample(self, sample: Sample, output: Output) -> Observation:
            raise KeyError(sample.index)

    class BreaksAtTheEnd(Length):
        def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
            raise ValueError("of what?")

    assert run_status(tmp_path, "good", "mine", plugins=Registry({"mine": plugin(metric=Breaks)})) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out mine: ")]
    assert "observe failed: KeyError: 0 (test_planted_mistakes.py" in line
    broken = Registry({"mine": plugin(metric=BreaksAtTheEnd)})
    assert run_status(tmp_path, "good", "mine", plugins=broken) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vtbench: ")]
    assert "metric 'mine': compute failed: ValueError: of what?" in line
    assert "test_planted_mistakes.py" in line
    assert run_status(tmp_path, "good", "mine", "--debug", plugins=broken) == 2


# Budgets


@dataclass(frozen=True)
class First:
    """Keeps the first two tokens."""

    name: str = "first 2"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        return [np.eye(visual.tokens.shape[1])[:2] for _ in keys]


class Heavy(First):
    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        return [2 * rows for rows in super().weights(visual, keys)]


class Negative(First):
    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        row = np.zeros((1, visual.tokens.shape[1]))
        row[0, :2] = 2, -1
        return [row] * len(keys)


class Together(First):
    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        return [rows[: 1 + (len(keys) > 1)] for rows in super().weights(visual, keys)]


class Drawn(First):
    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        total = visual.tokens.shape[1]
        return [np.eye(total)[np.random.default_rng().permutation(total)[:2]] for _ in keys]


class NeedsBoxes(First):
    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        assert visual.boxes is not None, "there are no boxes"
        return super().weights(visual, keys)


class Unlike(First):
    __hash__ = None  # type: ignore[assignment]


class Scales(First):
    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        visual.tokens[:] = visual.tokens / 2
        return super().weights(visual, keys)


BUDGETS: Mapping[type[First], str] = {
    Heavy: "budget 'first 2': not every row of its weights for relational/test/0/0 sums to 1",
    Negative: "a weight for relational/test/0/0 is -1; expected none below 0",
    Together: "expected the same for each sample on its own",
    Drawn: "are others the second time; expected what is drawn to follow from the key",
    NeedsBoxes: "there are no boxes",
    Unlike: "it cannot be hashed",
    Scales: "weights changed the visual tokens in place; expected to leave them as they are",
}


def test_a_budget_without_a_mistake_passes() -> None:
    assert_checks(budget_checks(First))


@pytest.mark.parametrize("kind", BUDGETS, ids=lambda kind: kind.__name__)
def test_a_mistake_in_a_budget_is_one_line(kind: type[First]) -> None:
    assert BUDGETS[kind] in the_line(budget_checks(kind))


# Executors


class Wrapped:
    """A pool of another executor, with a change in what it yields."""

    def __init__(self, pool: WorkerPool, change: Callable[[list[BatchResult]], list[BatchResult]]) -> None:
        self._pool, self._change = pool, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Any:
        yield from self._change(list(self._pool.run_batches(task, indices, sizes)))


class Backwards(Local):
    def start(self, work: Work, notify: Notify) -> Any:
        return Wrapped(super().start(work, notify), lambda batches: batches[::-1])


class Forgetful(Local):
    def start(self, work: Work, notify: Notify) -> Any:
        def change(batches: list[BatchResult]) -> list[BatchResult]:
            return [
                replace(batch, records=tuple(replace(record, output="") for record in batch.records))
                for batch in batches
            ]

        return Wrapped(super().start(work, notify), change)


class Silent(Local):
    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        for result in super().run(jobs):
            yield replace(result, error=None)


class Translates(Local):
    def start(self, work: Work, notify: Notify) -> Any:
        try:
            return super().start(work, notify)
        except VtbenchError as error:
            raise VtbenchError("the worker failed") from error


EXECUTORS: Mapping[type[Local], str] = {
    Backwards: "run_batches yielded (start, size) [(14, 8), (13, 1), (5, 8), (0, 5)]; expected [(0, 5), (5, 8)",
    Forgetful: "`output` of record coarse/test/0/0 is ''; expected 'Name the shape of the object.', as from a worker",
    Silent: "a job that failed ended with None; expected its last line",
    Translates: "start raised VtbenchError('the worker failed') for a model that cannot be used; expected",
}


@pytest.mark.parametrize("kind", EXECUTORS, ids=lambda kind: kind.__name__)
def test_a_mistake_in_an_executor_is_one_line(kind: type[Local]) -> None:
    assert EXECUTORS[kind] in the_line(executor_checks(kind))


# The command


def test_the_command_prints_a_line_for_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", "good"], registry()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("passed  ") for line in lines[:-1])
    assert lines[-1] == f"model 'good': {len(lines) - 1} checks, none failed"
    assert status(["check", "7 log-probabilities for 8 choices"], registry()) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    (failed,) = [line for line in lines if line.startswith("FAILED  ")]
    assert failed.startswith("FAILED  rank returns one log-probability for each choice: SevenOfEight: rank returned 7 ")
    assert all("not checked, as this failed: rank" in line for line in lines if line.startswith("-"))
    assert "1 failed, " in last


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", "--json", "an unknown layer"], registry()) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["checked"], document["failed"], document["not_checked"]) == ("model 'an unknown layer'", 1, 0)
    (failed,) = [row for row in document["checks"] if not row["passed"]]
    assert "nosuchlayer" in failed["reason"]
    assert "FAILED" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one thing to check: MODEL, --metric, --budget or --executor"),
        (["good", "--metric", "accuracy"], "name one thing to check"),
        (["goood"], "unknown model 'goood'. Did you mean 'good'?"),
        (["mine"], "model 'mine' needs 'answer'; write --model-args answer=..."),
        (["mine", "--model-args", "anser=1"], "model 'mine' has no setting 'anser'. Did you mean 'answer'?"),
        (["--metric", "accuracy:k=1"], "metric 'accuracy:k=1' has no setting 'k'. It takes none."),
        (["--budget", "gird"], "unknown budget 'gird'"),
        (["--executor", "local:workers=0"], "workers must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def mine(answer: str) -> Good:
        return Good()

    assert status(["check", *arguments], Registry({"mine": plugin(adapter=mine)})) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
