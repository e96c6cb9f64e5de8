"""Queries the model about prepared samples, lets the metrics observe the answers, and makes one `Record` per sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.budget import Budget
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, PreparedSample, run_with_backoff
from vtbench.errors import AdapterError, PluginError, SampleError, VtbenchError
from vtbench.metric import Batch, BudgetMetric, Fittable, Metric
from vtbench.types import Observation, Output, Record, Sample, Task, VisualTokens

FAIL_FAST_AFTER = 8
"""Abort the run if the first 8 samples of a task all fail with the same error type."""
_PROMPT_FIELDS = ("tokens_in", "visual_tokens_in")
"""Fields of `Output` about the prompt, which `generate` and `rank` both set."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's output for a sample, and each metric's observation of it."""

    output: Output
    observations: Mapping[str, Observation]


def query(samples: Sequence[Sample], adapter: Adapter, metrics: Mapping[str, Metric], task: Task) -> list[Answer]:
    """Call only the adapter methods that the metrics need, and let the metrics observe the result."""
    needs = frozenset[str]().union(*(metric.needs for metric in metrics.values()))
    outputs = [Output()] * len(samples)
    if "generate" in needs:
        outputs = _one_each(adapter.generate(samples, task.max_new_tokens), samples, "generate")
    if "rank" in needs:
        closed = [i for i, sample in enumerate(samples) if sample.choices]
        with_choices = [samples[i] for i in closed]
        ranked = _one_each(adapter.rank(with_choices), with_choices, "rank") if with_choices else []
        for i, rank in zip(closed, ranked, strict=True):
            if any(math.isnan(value) for value in rank.logprobs or ()):
                raise SampleError("the model's log-probabilities are not numbers; try --dtype float32")
            outputs[i] = replace(
                outputs[i],
                logprobs=rank.logprobs,
                logprob_tokens=rank.logprob_tokens,
                cost=_sum(outputs[i].cost, rank.cost),
                **{name: getattr(rank, name) for name in _PROMPT_FIELDS if getattr(outputs[i], name) is None},
            )
    visual = {}
    if "visual_tokens" in needs:
        layers = _layers(metrics.values(), adapter) or list(adapter.layers[:1])
        visual = _visual(adapter, samples, layers)
    batch = Batch(samples, outputs, visual)
    by_budget: dict[Budget, list[Output]] = {}
    observed: dict[str, list[Observation]] = {}
    for name, metric in metrics.items():
        mine = batch
        if isinstance(metric, BudgetMetric):
            for budget in metric.budgets.values():
                if budget not in by_budget:
                    outputs_under = cast(BudgetAdapter, adapter).generate(samples, task.max_new_tokens, budget)
                    by_budget[budget] = _one_each(outputs_under, samples, "generate")
            mine = replace(batch, budgeted={key: by_budget[budget] for key, budget in metric.budgets.items()})
        observed[name] = metric.observe(mine)
        if len(observed[name]) != len(samples):
            raise PluginError(f"metric {name!r} returned {len(observed[name])} observations for {len(samples)} samples")
    return [Answer(output, {name: observed[name][i] for name in observed}) for i, output in enumerate(outputs)]


def _sum(one: float | None, other: float | None) -> float | None:
    return one if other is None else other + (one or 0.0)


def _one_each(outputs: Sequence[Output], samples: Sequence[Sample], method: str) -> list[Output]:
    if len(outputs) != len(samples):
        raise AdapterError(f"the adapter's {method} returned {len(outputs)} outputs for {len(samples)} samples")
    return list(outputs)


def _layers(metrics: Iterable[Metric | Fittable], adapter: Adapter) -> list[str]:
    """Return the layers that visual metrics prefer and the adapter gives, in the adapter's order."""
    wanted = {layer for metric in metrics if isinstance(metric, Fittable) for layer in metric.layers}
    return [layer for layer in adapter.layers if layer in wanted]


def _visual(adapter: Adapter, samples: Sequence[Sample], layers: list[str]) -> dict[str, VisualTokens]:
    tokens = adapter.visual_tokens(samples, layers)
    if [t.layer for t in tokens] != layers or any(len(t.tokens) != len(samples) for t in tokens):
        got = ", ".join(f"{t.layer} {tuple(getattr(t.tokens, 'shape', ()))}" for t in tokens)
        raise AdapterError(
            f"the adapter's visual_tokens returned {got or 'nothing'} for {len(samples)} samples at {', '.join(layers)}"
        )
    return dict(zip(layers, tokens, strict=True))


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
            name = f"{task.name}/{m.index}"
            yield Record(task.name, name, m.index, prompt="", target="", error=str(m.sample)), m.sample.error
    good = [m.sample for m in batch if isinstance(m.sample, Sample)]
    for sample, got in run_with_backoff(good, ask, out_of_memory):
        facts: dict[str, Any] = {
            name: getattr(sample, name)
            for name in ("id", "index", "prompt", "target", "choices", "kind", "cluster", "scene_hash", "meta")
        }
        record = Record(task=task.name, image_sha256=prepared[id(sample)].image_sha256, **facts)
        if isinstance(got, Failure):
            yield replace(record, error=str(got)), got.error
        else:
            said = got.output
            yield (
                replace(
                    record,
                    output=said.text,
                    logprobs=said.logprobs,
                    tokens_in=said.tokens_in,
                    visual_tokens_in=said.visual_tokens_in,
                    tokens_out=said.tokens_out,
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
    metrics: Sequence[Fittable], prefetcher: Prefetcher, adapter: Adapter, size: AutoBatchSize
) -> list[int]:
    """Encode a task's first samples once and fit all metrics on them; samples that fail are left out.

    Batches are as large as memory allows, and end where a metric has received its `fit_samples`.

    Returns:
        Sizes of the parts that did not fit into memory, in order.

    Raises:
        AdapterError: no sample gave visual tokens.
    """
    error: Exception | None = None
    halved: list[int] = []

    def shrink(n: int) -> None:
        halved.append(n)
        size.out_of_memory(n)

    seen = shown = 0
    while chunk := prefetcher.take(min([size.size, *(m.fit_samples - seen for m in metrics if m.fit_samples > seen)])):
        fitting = [metric for metric in metrics if metric.fit_samples > seen]
        layers = _layers(fitting, adapter)
        ready: list[Batch] = []

        def encode(part: Sequence[Sample], layers: list[str] = layers, ready: list[Batch] = ready) -> Sequence[Sample]:
            ready.append(Batch(part, (), _visual(adapter, part, layers)))
            return part

        for _, got in run_with_backoff([m.sample for m in chunk if isinstance(m.sample, Sample)], encode, shrink):
            error = got.error if isinstance(got, Failure) else error
        for batch in ready:
            for metric in fitting:
                metric.partial_fit(batch)
        seen, shown = seen + len(chunk), shown + len(ready)
    if not shown:
        names = ", ".join(_layers(metrics, adapter))
        raise AdapterError(f"no sample gave visual tokens at {names}: {Failure(error) if error else 'no sample'}")
    return halved
