"""Lets metrics observe the answers of a batch.

What a metric needs beside the answers, and the observation itself, may fail. That costs the metric the sample, and
never the answer: the record says why. Samples whose visual tokens have one shape are shown to a metric together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.budget import Budget
from vtbench.engine.batching import Failure
from vtbench.engine.parts import in_parts
from vtbench.engine.validation import check_unchanged, checked_observations, checked_outputs
from vtbench.engine.visual import Shown, layers_of, take_visual_tokens
from vtbench.errors import OutOfMemory, SampleError, VtbenchError, one_line
from vtbench.metric import Batch, BudgetMetric, Metric, reads_texts
from vtbench.types import Observation, Output, Sample


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


def observe_answers(
    samples: Sequence[Sample],
    outputs: Sequence[Output],
    adapter: Adapter,
    metrics: Mapping[str, Metric],
    max_new_tokens: int,
    model: str,
    hashes: Mapping[str, tuple[str, ...]],
    unranked: Mapping[int, str] = MappingProxyType({}),
) -> list[Answer]:
    """Take what the metrics need beside the outputs, and let each of them observe what it can.

    Args:
        samples: a batch.
        outputs: its answers.
        adapter: gives the rest.
        metrics: by name.
        max_new_tokens: most tokens of an answer under a budget.
        model: what an error calls the adapter.
        hashes: by the sample's id, `image_hashes` of samples that neither the adapter nor a metric may change.
        unranked: why a sample that was answered has no ranking, by its place in the batch.

    Raises:
        AdapterError: an image was changed.
        ModelUnavailable: the model is gone.
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
        lacking = (unshown if looks else {}) | (dict(unranked) if "rank" in metric.needs else {})
        why = {row: reason for row, reason in lacking.items() if row in wanted}
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
