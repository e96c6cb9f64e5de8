"""Lets metrics observe the answers of a batch.

What a metric needs beside the answers, and the observation itself, may fail. That costs the metric the sample, and
never the answer: the record says why. Samples whose visual tokens have one shape are shown to a metric together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.budget import Budget
from vtbench.engine.batching import Failure
from vtbench.engine.validation import check_unchanged, checked_observations, checked_outputs, checked_visual
from vtbench.errors import OutOfMemory, SampleError, VtbenchError, one_line
from vtbench.metric import Batch, BudgetMetric, Fittable, Metric, reads_texts
from vtbench.types import Observation, Output, Sample, VisualTokens

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's output for a sample, and what each metric made of it."""

    output: Output
    observations: Mapping[str, Observation]
    """By metric; metrics that could not observe the sample are not there."""
    unobserved: Mapping[str, str]
    """Why they could not, by metric."""


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


@dataclass(frozen=True, slots=True)
class Shown:
    """Samples of a batch whose visual tokens have one shape at each layer."""

    rows: tuple[int, ...]
    """Their places in the batch."""
    visual: Mapping[str, VisualTokens]
    """By layer, in the order of `rows`."""

    def part(self, rows: Sequence[int]) -> Mapping[str, VisualTokens]:
        """Return the tokens of some of the rows."""
        if tuple(rows) == self.rows:
            return self.visual
        places = [self.rows.index(row) for row in rows]
        return {layer: replace(visual, tokens=visual.tokens[places]) for layer, visual in self.visual.items()}


def in_parts(
    rows: Sequence[int], ask: Callable[[Sequence[int]], T], alone: bool, kind: Callable[[int], Hashable] = lambda row: 0
) -> Iterator[tuple[Sequence[int], T | Failure]]:
    """Ask about samples of a batch together; if that fails, about those of each kind; and if that fails, about each.

    Args:
        rows: places of the samples in the batch.
        ask: about some of them.
        alone: whether the batch is of one sample, so that no smaller one could be tried.
        kind: of a sample.

    Yields:
        Rows with what `ask` returned; of a single row, possibly why it failed.

    Raises:
        OutOfMemory: of a batch of several samples.
        VtbenchError: an error of the whole run (other than a `SampleError`).
    """
    if not rows:
        return
    try:
        found = ask(rows)
    except OutOfMemory as error:
        if not alone:
            raise
        failed = Failure(error)
    except VtbenchError as error:
        if not isinstance(error, SampleError):
            raise
        failed = Failure(error)
    except Exception as error:  # an adapter or a metric may fail on a sample in any way; the record has the error
        failed = Failure(error)
    else:
        yield rows, found
        return
    if len(rows) == 1:
        yield rows, failed
        return
    kinds: dict[Hashable, list[int]] = {}
    for row in rows:
        kinds.setdefault(kind(row), []).append(row)
    for part in kinds.values() if len(kinds) > 1 else [[row] for row in rows]:
        yield from in_parts(part, ask, alone, kind)


def layers_of(metrics: Iterable[Metric | Fittable], adapter: Adapter) -> list[str]:
    """Return the layers that visual metrics prefer and the adapter gives, in the adapter's order."""
    wanted = {layer for metric in metrics if isinstance(metric, Fittable) for layer in metric.layers}
    return [layer for layer in adapter.layers if layer in wanted]


def take_visual_tokens(
    samples: Sequence[Sample], rows: Sequence[int], adapter: Adapter, layers: Sequence[str], model: str
) -> tuple[list[Shown], dict[int, str]]:
    """Take the visual tokens of a batch's own images, together where their numbers are equal.

    Args:
        samples: the batch.
        rows: places of the samples to take them of.
        adapter: gives them.
        layers: to take them at.
        model: what an error calls the adapter.

    Returns:
        What was taken, and by row why there is nothing of the others.

    Raises:
        AdapterError: the adapter returned what it may not.
        OutOfMemory: of a batch of several samples.
    """

    def take(part: Sequence[int]) -> Mapping[str, VisualTokens]:
        given = _without_context(tuple(samples[row] for row in part))
        return checked_visual(adapter.visual_tokens(given, layers), given, layers, model)

    def sizes(row: int) -> Hashable:
        return tuple(image.size for image in samples[row].images)

    shown, why = list[Shown](), dict[int, str]()
    for part, found in in_parts(rows, take, len(samples) == 1, sizes):
        if isinstance(found, Failure):
            why[part[0]] = f"no visual tokens: {found}"
        else:
            shown.append(Shown(tuple(part), found))
    return shown, why


def _without_context(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return samples without what stands before the question: visual tokens are those of its own images."""
    if any(sample.examples or sample.system for sample in samples):
        return tuple(replace(sample, examples=(), system="") for sample in samples)
    return samples


def observe_answers(
    samples: Sequence[Sample],
    outputs: Sequence[Output],
    adapter: Adapter,
    metrics: Mapping[str, Metric],
    max_new_tokens: int,
    model: str,
    hashes: Mapping[str, tuple[str, ...]],
) -> list[Answer]:
    """Take what the metrics need beside the outputs, and let each of them observe what it can.

    Raises:
        AdapterError: the adapter returned what it may not, or an image was changed.
        PluginError: a metric returned what it may not.
        OutOfMemory: of a batch of several samples.
    """
    needs = Needs.of(metrics)
    every = tuple(range(len(samples)))
    first = tuple(row for row in every if not samples[row].repeat)
    shown, unshown = list[Shown](), dict[int, str]()
    if "visual_tokens" in needs.of_questions:
        layers = layers_of(metrics.values(), adapter) or list(adapter.layers[:1])
        looked_at = every if "visual_tokens" in needs.of_repeats else first
        shown, unshown = take_visual_tokens(samples, looked_at, adapter, layers, model)
    budgets = {b: None for m in metrics.values() if isinstance(m, BudgetMetric) for b in m.budgets.values()}
    said = {budget: _under(budget, samples, adapter, max_new_tokens, model) for budget in budgets}
    check_unchanged(samples, hashes, model)
    found: list[dict[str, Observation]] = [{} for _ in samples]
    unobserved: list[dict[str, str]] = [{} for _ in samples]
    for name, metric in metrics.items():
        wanted = set(every if reads_texts(metric) else first)
        mine = dict(metric.budgets) if isinstance(metric, BudgetMetric) else {}
        looks = "visual_tokens" in metric.needs
        why = {row: reason for row, reason in unshown.items() if looks and row in wanted}
        for budget in mine.values():
            failed = {row: got for row, got in said[budget].items() if isinstance(got, Failure)}
            why = {row: f"no answer under {budget.name!r}: {got}" for row, got in failed.items()} | why
        for group in shown if looks else [Shown(every, {})]:
            rows = [row for row in group.rows if row in wanted and row not in why]

            def observe(
                part: Sequence[int],
                metric: Metric = metric,
                mine: Mapping[str, Budget] = mine,
                group: Shown = group,
                label: str = f"metric {name!r}",
            ) -> list[Observation]:
                under = {key: [cast(Output, said[budget][row]) for row in part] for key, budget in mine.items()}
                batch = Batch(
                    tuple(samples[row] for row in part), [outputs[row] for row in part], group.part(part), under
                )
                return checked_observations(_observed(metric, batch), batch.samples, label)

            for part, seen in in_parts(rows, observe, len(samples) == 1):
                if isinstance(seen, Failure):
                    why[part[0]] = str(seen)
                else:
                    for row, observation in zip(part, seen, strict=True):
                        found[row][name] = observation
        for row in every:
            if row in why:
                unobserved[row][name] = why[row]
            else:
                found[row].setdefault(name, {})
        check_unchanged(samples, hashes, f"metric {name!r}")
    return [Answer(*each) for each in zip(outputs, found, unobserved, strict=True)]


def _under(
    budget: Budget, samples: Sequence[Sample], adapter: Adapter, max_new_tokens: int, model: str
) -> dict[int, Output | Failure]:
    """Return by row the output of each sample under a budget, or why there is none."""

    def ask(part: Sequence[int]) -> list[Output]:
        given = tuple(samples[row] for row in part)
        said = cast(BudgetAdapter, adapter).generate(given, max_new_tokens, budget)
        return checked_outputs(said, given, "generate", f"{model} under {budget.name!r}")

    found: dict[int, Output | Failure] = {}
    for part, got in in_parts(range(len(samples)), ask, len(samples) == 1):
        found |= {part[0]: got} if isinstance(got, Failure) else dict(zip(part, got, strict=True))
    return found


def _observed(metric: Metric, batch: Batch) -> Any:
    """Let a metric observe a batch; an error that is none of vtbench's says that it is the metric's."""
    try:
        return metric.observe(batch)
    except (VtbenchError, OutOfMemory):
        raise
    except Exception as error:
        raise SampleError(f"observe failed: {one_line(error)}") from error
