"""Queries the model about prepared samples, lets the metrics observe the answers, and makes one `Record` per sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from vtbench.adapter import Adapter
from vtbench.engine.batching import Failure, PreparedSample, run_with_backoff
from vtbench.engine.observing import Answer, Needs, observe_answers
from vtbench.engine.parts import in_parts
from vtbench.engine.validation import checked_outputs
from vtbench.errors import VtbenchError
from vtbench.metric import Metric
from vtbench.types import Output, Record, Sample, Task, readable

FAIL_FAST_AFTER = 8
"""Abort the run if the first 8 samples of a task all fail with the same error type."""
_PROMPT_FIELDS = ("tokens_in", "visual_tokens_in")
"""Fields of `Output` about the prompt, which `generate` and `rank` both set."""
_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def query(
    samples: Sequence[Sample],
    adapter: Adapter,
    metrics: Mapping[str, Metric],
    task: Task,
    model: str,
    hashes: Mapping[str, tuple[str, ...]] = _NOTHING,
) -> list[Answer]:
    """Call only the adapter methods that the metrics need, and let the metrics observe the result.

    Args:
        samples: a batch.
        adapter: to query.
        metrics: by name.
        task: that the samples are of.
        model: what an error calls the adapter.
        hashes: by the sample's id, `image_hashes` of samples that neither the adapter nor a metric may change.

    Raises:
        AdapterError: the adapter's answers are what they may not be, or it changed an image.
        PluginError: a metric did.
        SampleError: the answer to a sample is not a number.
        OutOfMemory: of a batch of several samples.
    """
    samples = tuple(samples)  # whoever sorts its batch in place would misplace the answers
    outputs, unranked = _ask(samples, adapter, Needs.of(metrics), task.max_new_tokens, model)
    return observe_answers(samples, outputs, adapter, metrics, task.max_new_tokens, model, hashes, unranked)


def query_outputs(
    samples: Sequence[Sample], adapter: Adapter, needs: Needs, max_new_tokens: int, model: str
) -> list[Output]:
    """Query the model for texts, for log-probabilities of the choices, or for both in one output a sample.

    A sample that has a text and cannot be ranked keeps the text.

    Raises:
        AdapterError: the adapter returned what it may not.
        SampleError: a log-probability is not a number, and there is no text.
    """
    return _ask(samples, adapter, needs, max_new_tokens, model)[0]


def _ask(
    samples: Sequence[Sample], adapter: Adapter, needs: Needs, max_new_tokens: int, model: str
) -> tuple[list[Output], dict[int, str]]:
    """Return the outputs of a batch, and by place in the batch why a sample with a text has no ranking."""
    outputs, unranked = [Output()] * len(samples), dict[int, str]()
    texts = "generate" in needs.of_questions
    if texts:
        outputs = checked_outputs(adapter.generate(samples, max_new_tokens), samples, "generate", model)
    if "rank" in needs.of_questions:
        again = "rank" in needs.of_repeats
        closed = [i for i, sample in enumerate(samples) if sample.choices and (again or not sample.repeat)]

        def rank(part: Sequence[int]) -> list[Output]:
            asked = tuple(
                replace(s, choices=s.labels, labels=()) if s.labels else s for s in (samples[i] for i in part)
            )
            return checked_outputs(adapter.rank(asked), asked, "rank", model)

        ranked: Iterable[tuple[Sequence[int], list[Output] | Failure]] = ()
        if closed:
            ranked = in_parts(closed, rank, len(samples) == 1) if texts else [(closed, rank(closed))]
        for part, got in ranked:
            if isinstance(got, Failure):
                if got.transient:  # whoever asks again gets text and ranking
                    raise got.error
                unranked[part[0]] = f"no ranking: {got}"
                continue
            for i, each in zip(part, got, strict=True):
                outputs[i] = replace(
                    outputs[i],
                    logprobs=each.logprobs,
                    logprob_tokens=each.logprob_tokens,
                    cost=_sum(outputs[i].cost, each.cost),
                    **{name: getattr(each, name) for name in _PROMPT_FIELDS if getattr(outputs[i], name) is None},
                )
    return outputs, unranked


def _sum(one: float | None, other: float | None) -> float | None:
    return one if other is None else other + (one or 0.0)


def to_records(
    batch: Sequence[PreparedSample],
    task: Task,
    ask: Callable[[Sequence[Sample]], Sequence[Answer]],
    out_of_memory: Callable[[int], None],
) -> Iterator[tuple[Record, Exception | None]]:
    """Yield a record for each sample of a batch, with its error if it failed."""
    prepared = {id(m.sample): m for m in batch}
    for m in batch:
        if isinstance(m.sample, Failure):
            name = getattr(m.sample.error, "sample_id", None) or f"{task.name}/{m.index}"
            yield (
                Record(
                    task.name, name, m.index, prompt="", target="", error=str(m.sample), transient=m.sample.transient
                ),
                m.sample.error,
            )
    good = [m.sample for m in batch if isinstance(m.sample, Sample)]
    for sample, got in run_with_backoff(good, ask, out_of_memory):
        facts: dict[str, Any] = {
            name: getattr(sample, name)
            for name in (
                "id",
                "index",
                "target",
                "references",
                "answer_type",
                "choices",
                "labels",
                "synonyms",
                "kind",
                "cluster",
                "repeat",
                "scene_hash",
                "meta",
            )
        }
        facts |= {"prompt": readable(sample.prompt), "question": readable(sample.question)}
        record = Record(task=task.name, image_sha256=prepared[id(sample)].image_sha256, **facts)
        if isinstance(got, Failure):
            yield replace(record, error=str(got), transient=got.transient), got.error
        else:
            said = got.output
            yield (
                replace(
                    record,
                    output=said.text,
                    finish_reason=said.finish_reason,
                    reasoning=said.reasoning,
                    rendered_prompt=said.rendered_prompt,
                    logprobs=said.logprobs,
                    logprob_tokens=said.logprob_tokens,
                    tokens_in=said.tokens_in,
                    visual_tokens_in=said.visual_tokens_in,
                    tokens_out=said.tokens_out,
                    reasoning_tokens=said.reasoning_tokens,
                    cost=said.cost,
                    scores=got.observations,
                    unobserved=got.unobserved,
                ),
                None,
            )


class FailFast:
    """Holds a task's first records back until one succeeds; aborts the run if they all fail with the same error."""

    def __init__(self, task: Task, begun: bool) -> None:
        self._name, self._open = task.name, begun
        self._held: list[Record] = []
        self._failures: list[str] = []

    def passed(self, records: Sequence[Record], failures: Sequence[str | None]) -> list[Record]:
        """Return the records that may be written now.

        Args:
            records: the next records.
            failures: the type of each record's error; None if the sample was answered.

        Raises:
            VtbenchError: the first `FAIL_FAST_AFTER` samples or more all failed with the same type of error.
        """
        self._held += records
        self._failures += [failure for failure in failures if failure is not None]
        if not self._open and len(self._failures) == len(self._held):
            if len(self._failures) < FAIL_FAST_AFTER:
                return []
            if len(set(self._failures)) == 1:
                raise VtbenchError(
                    f"task {self._name!r}: the first {len(self._held)} samples all failed with one type of error: "
                    f"{self._held[0].error}"
                )
        self._open = True
        return self.rest()

    def rest(self) -> list[Record]:
        """Return the records that are still held back: all samples of a small task may fail."""
        held, self._held = self._held, []
        return held
