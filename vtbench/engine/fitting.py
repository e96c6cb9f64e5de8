"""Fits metrics and token budgets on a task's first samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from vtbench.adapter import Adapter
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, run_with_backoff
from vtbench.engine.validation import check_unchanged
from vtbench.engine.visual import layers_of, take_visual_tokens
from vtbench.errors import SampleError, plugin_errors
from vtbench.metric import Batch, Fittable, FittedTwice
from vtbench.types import Sample

TRIED = 64
"""A metric that none of its own first samples could serve gets one of this many."""


@dataclass(frozen=True, slots=True)
class FirstSamples:
    """What came of fitting on a task's first samples."""

    out_of_memory: tuple[int, ...]
    """Sizes of the parts that did not fit into memory, in order."""
    unfitted: Mapping[str, str]
    """Why metrics could not be fitted on any sample, by name."""


def fit_on_first(
    metrics: Mapping[str, Fittable],
    first: Callable[[], Prefetcher],
    adapter: Adapter,
    size: AutoBatchSize,
    model: str,
) -> FirstSamples:
    """Encode a task's first samples once and fit all metrics on them; samples that fail are left out.

    Those that ask for it (`FittedTwice`) see them once more. Batches are as large as memory allows, and end where a
    metric has received its `fit_samples`. Samples whose visual tokens have another shape make a batch of their own.

    Args:
        metrics: what is fitted, by name.
        first: makes what yields the first samples: at least `TRIED`, if the task has as many.
        adapter: gives their visual tokens.
        size: of the parts.
        model: what an error calls the adapter.

    Raises:
        AdapterError: the adapter changed an image.
        PluginError: what is fitted raised an error.
    """
    found = _fit_once(metrics, first(), adapter, size, model)
    again = dict[str, Fittable]()
    for name, metric in metrics.items():
        if isinstance(metric, FittedTwice) and name not in found.unfitted:
            with plugin_errors(f"{name}: fit_again"):
                again |= {name: metric} if metric.fit_again() else {}
    if not again:
        return found
    more = _fit_once(again, first(), adapter, size, model)
    return FirstSamples(found.out_of_memory + more.out_of_memory, {**found.unfitted, **more.unfitted})


def _fit_once(
    metrics: Mapping[str, Fittable], prefetcher: Prefetcher, adapter: Adapter, size: AutoBatchSize, model: str
) -> FirstSamples:
    why = "no sample"
    halved: list[int] = []

    def shrink(n: int) -> None:
        halved.append(n)
        size.out_of_memory(n)

    refused: dict[str, str] = {}
    fitted: set[str] = set()
    tried = 0
    while chunk := prefetcher.take(_next_size(metrics, fitted, tried, size.size)):
        lacking = {name: metric for name, metric in metrics.items() if metric.fit_samples > tried or name not in fitted}
        layers = layers_of(lacking.values(), adapter)
        hashes = {m.sample.id: m.image_sha256 for m in chunk if not tried and isinstance(m.sample, Sample)}
        ready: list[Batch] = []

        def encode(
            part: Sequence[Sample],
            layers: list[str] = layers,
            hashes: Mapping[str, tuple[str, ...]] = hashes,
            ready: list[Batch] = ready,
        ) -> list[str | None]:
            given = tuple(part)
            groups, reasons = take_visual_tokens(given, range(len(given)), adapter, layers, model)
            check_unchanged(given, hashes, model)
            ready += [Batch(tuple(given[row] for row in group.rows), (), group.visual) for group in groups]
            return [reasons.get(row) for row in range(len(given))]

        made = [m.sample for m in chunk if isinstance(m.sample, Sample)]
        for m in chunk:
            why = str(m.sample) if isinstance(m.sample, Failure) else why
        for _, got in run_with_backoff(made, encode, shrink):
            why = str(got) if isinstance(got, Failure) else got or why
        for batch in ready:
            for name, metric in lacking.items():
                try:
                    with plugin_errors(f"{name}: partial_fit"):
                        metric.partial_fit(batch)
                except SampleError as error:
                    refused[name] = str(error)
                else:
                    fitted.add(name)
        tried += len(chunk)
    return FirstSamples(tuple(halved), {name: refused.get(name, why) for name in metrics if name not in fitted})


def _next_size(metrics: Mapping[str, Fittable], fitted: Collection[str], tried: int, size: int) -> int:
    """Return the number of samples to encode next; 0 if no metric wants more."""
    left = [metric.fit_samples - tried for metric in metrics.values() if metric.fit_samples > tried]
    late = tried < TRIED and any(m.fit_samples <= tried and name not in fitted for name, m in metrics.items())
    return min([size, *left, *[1] * late]) if left or late else 0
