"""Queries the model about prepared samples, lets the metrics observe the answers, and makes one `Record` per sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.budget import Budget
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, PreparedSample, run_with_backoff
from vtbench.engine.validation import check_unchanged, checked_observations, checked_outputs, checked_visual
from vtbench.errors import AdapterError, OutOfMemory, SampleError, VtbenchError, one_line, plugin_errors
from vtbench.metric import Batch, BudgetMetric, Fittable, Metric, reads_texts
from vtbench.types import Observation, Output, Record, Sample, Task, VisualTokens

FAIL_FAST_AFTER = 8
"""Abort the run if the first 8 samples of a task all fail with the same error type."""
_PROMPT_FIELDS = ("tokens_in", "visual_tokens_in")
"""Fields of `Output` about the prompt, which `generate` and `rank` both set."""
_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's output for a sample, and each metric's observation of it."""

    output: Output
    observations: Mapping[str, Observation]


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
        AdapterError: the adapter returned what it may not, or changed an image.
        PluginError: a metric did.
        SampleError: the answer to a sample is not a number.
    """
    samples = tuple(samples)  # whoever sorts its batch in place would misplace the answers
    needs = Needs.of(metrics)
    outputs = query_outputs(samples, adapter, needs, task.max_new_tokens, model)
    visual: Mapping[str, VisualTokens] = {}
    first = [i for i, sample in enumerate(samples) if not sample.repeat]
    shown = tuple(samples) if "visual_tokens" in needs.of_repeats else tuple(samples[i] for i in first)
    if "visual_tokens" in needs.of_questions and shown:
        layers = _layers(metrics.values(), adapter) or list(adapter.layers[:1])
        visual = checked_visual(adapter.visual_tokens(_alone(shown), layers), shown, layers, model)
    batch = Batch(samples, outputs, visual)
    by_budget: dict[Budget, list[Output]] = {}
    for metric in metrics.values():
        for budget in metric.budgets.values() if isinstance(metric, BudgetMetric) else ():
            if budget not in by_budget:
                said = cast(BudgetAdapter, adapter).generate(samples, task.max_new_tokens, budget)
                by_budget[budget] = checked_outputs(said, samples, "generate", f"{model} under {budget.name!r}")
    check_unchanged(samples, hashes, model)
    observed: dict[str, list[Observation]] = {}
    for name, metric in metrics.items():
        mine, label = batch, f"metric {name!r}"
        if isinstance(metric, BudgetMetric):
            mine = replace(batch, budgeted={key: by_budget[budget] for key, budget in metric.budgets.items()})
        seen: Sequence[int] = range(len(samples))
        if not reads_texts(metric) and len(first) < len(samples):
            seen, mine = first, _part(mine, first, shown)
        found = checked_observations(_observe(metric, mine, label), mine.samples, label) if seen else []
        each = dict(zip(seen, found, strict=True))
        observed[name] = [each.get(i, {}) for i in range(len(samples))]
        check_unchanged(samples, hashes, label)
    return [Answer(output, {name: observed[name][i] for name in observed}) for i, output in enumerate(outputs)]


@dataclass(frozen=True, slots=True)
class Needs:
    """What metrics need of the model."""

    of_questions: frozenset[str]
    """About each question once."""
    of_repeats: frozenset[str]
    """About its further repeats (`--gen repeats=K`), which only metrics of generated text see."""

    @classmethod
    def of(cls, metrics: Mapping[str, Metric]) -> Needs:
        """Return what these metrics need."""
        everything = (metric.needs for metric in metrics.values())
        again = (metric.needs for metric in metrics.values() if reads_texts(metric))
        return cls(frozenset[str]().union(*everything), frozenset[str]().union(*again))


def _part(batch: Batch, kept: Sequence[int], shown: Sequence[Sample]) -> Batch:
    """Return some samples of a batch with all that belongs to them; `shown` are those that have visual tokens."""
    rows = list(kept) if len(shown) == len(batch.samples) else slice(None)
    return Batch(
        tuple(batch.samples[i] for i in kept),
        [batch.outputs[i] for i in kept],
        {layer: replace(v, tokens=v.tokens[rows]) for layer, v in batch.visual.items()},
        {name: [outputs[i] for i in kept] for name, outputs in batch.budgeted.items()},
    )


def query_outputs(
    samples: Sequence[Sample], adapter: Adapter, needs: Needs, max_new_tokens: int, model: str
) -> list[Output]:
    """Query the model for texts, for log-probabilities of the choices, or for both in one output a sample.

    Raises:
        AdapterError: the adapter returned what it may not.
        SampleError: a log-probability is not a number.
    """
    outputs = [Output()] * len(samples)
    if "generate" in needs.of_questions:
        outputs = checked_outputs(adapter.generate(samples, max_new_tokens), samples, "generate", model)
    if "rank" in needs.of_questions:
        again = "rank" in needs.of_repeats
        closed = [i for i, sample in enumerate(samples) if sample.choices and (again or not sample.repeat)]
        with_choices = tuple(samples[i] for i in closed)
        asked = tuple(replace(s, choices=s.labels, labels=()) if s.labels else s for s in with_choices)
        ranked = checked_outputs(adapter.rank(asked), asked, "rank", model) if asked else []
        for i, rank in zip(closed, ranked, strict=True):
            outputs[i] = replace(
                outputs[i],
                logprobs=rank.logprobs,
                logprob_tokens=rank.logprob_tokens,
                cost=_sum(outputs[i].cost, rank.cost),
                **{name: getattr(rank, name) for name in _PROMPT_FIELDS if getattr(outputs[i], name) is None},
            )
    return outputs


def _alone(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return samples without what stands before the question: visual tokens are those of its own images."""
    if any(sample.examples or sample.system for sample in samples):
        return tuple(replace(sample, examples=(), system="") for sample in samples)
    return samples


def _observe(metric: Metric, batch: Batch, label: str) -> Any:
    """Let a metric observe a batch; what it raises is the failure of a sample that names the metric."""
    try:
        return metric.observe(batch)
    except (VtbenchError, OutOfMemory):
        raise
    except Exception as error:
        raise SampleError(f"{label}: observe failed: {one_line(error)}") from error


def _sum(one: float | None, other: float | None) -> float | None:
    return one if other is None else other + (one or 0.0)


def _layers(metrics: Iterable[Metric | Fittable], adapter: Adapter) -> list[str]:
    """Return the layers that visual metrics prefer and the adapter gives, in the adapter's order."""
    wanted = {layer for metric in metrics if isinstance(metric, Fittable) for layer in metric.layers}
    return [layer for layer in adapter.layers if layer in wanted]


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
                "prompt",
                "target",
                "question",
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


def fit_on_first(
    metrics: Mapping[str, Fittable], prefetcher: Prefetcher, adapter: Adapter, size: AutoBatchSize, model: str
) -> list[int]:
    """Encode a task's first samples once and fit all metrics on them; samples that fail are left out.

    Batches are as large as memory allows, and end where a metric has received its `fit_samples`.

    Args:
        metrics: what is fitted, by name.
        prefetcher: yields the first samples.
        adapter: gives their visual tokens.
        size: of the parts.
        model: what an error calls the adapter.

    Returns:
        Sizes of the parts that did not fit into memory, in order.

    Raises:
        AdapterError: no sample gave visual tokens.
        PluginError: what is fitted raised an error.
    """
    error: Exception | None = None
    halved: list[int] = []

    def shrink(n: int) -> None:
        halved.append(n)
        size.out_of_memory(n)

    fits, seen, shown = list(metrics.values()), 0, 0
    while chunk := prefetcher.take(min([size.size, *(m.fit_samples - seen for m in fits if m.fit_samples > seen)])):
        fitting = {name: metric for name, metric in metrics.items() if metric.fit_samples > seen}
        layers = _layers(fitting.values(), adapter)
        hashes = {m.sample.id: m.image_sha256 for m in chunk if not seen and isinstance(m.sample, Sample)}
        ready: list[Batch] = []

        def encode(
            part: Sequence[Sample],
            layers: list[str] = layers,
            hashes: Mapping[str, tuple[str, ...]] = hashes,
            ready: list[Batch] = ready,
        ) -> Sequence[Sample]:
            given = tuple(part)
            visual = checked_visual(adapter.visual_tokens(_alone(given), layers), given, layers, model)
            check_unchanged(given, hashes, model)
            ready.append(Batch(given, (), visual))
            return part

        for _, got in run_with_backoff([m.sample for m in chunk if isinstance(m.sample, Sample)], encode, shrink):
            error = got.error if isinstance(got, Failure) else error
        for batch in ready:
            for name, metric in fitting.items():
                with plugin_errors(f"{name}: partial_fit"):
                    metric.partial_fit(batch)
        seen, shown = seen + len(chunk), shown + len(ready)
    if not shown:
        names = ", ".join(_layers(metrics.values(), adapter))
        raise AdapterError(f"no sample gave visual tokens at {names}: {Failure(error) if error else 'no sample'}")
    return halved
