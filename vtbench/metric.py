"""The metric protocol: how samples become scores.

A metric is a map and a reduce: `observe` maps each sample of a batch to a small `Observation`, and `compute` reduces
the observations of a task to `Score`s. A metric keeps nothing else. Observations are stored with the samples, so shards
merge by concatenation, a killed run resumes without querying the model again, and rescoring needs no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vtbench.errors import SampleError
from vtbench.types import Capability, Observation, Output, Record, Sample, Score, Task, VisualTokens

if TYPE_CHECKING:
    import numpy as np

    from vtbench.budget import Budget


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as metrics see it: samples, outputs, and visual tokens by layer (if a metric needs them)."""

    samples: Sequence[Sample]
    outputs: Sequence[Output]
    visual: Mapping[str, VisualTokens]
    budgeted: Mapping[str, Sequence[Output]] = field(default_factory=dict)
    """The outputs under each budget of a `BudgetMetric`, by the metric's own name of the budget."""


@runtime_checkable
class Metric(Protocol):
    """A way to score answers."""

    needs: frozenset[Capability]
    """Capabilities that the adapter must have; without them the metric is left out, and the table says so."""

    def observe(self, batch: Batch) -> list[Observation]:
        """Map: return one observation per sample, in the batch's order.

        Raises:
            SampleError: some of the samples cannot be observed. The loop shows each alone; those that fail again keep
                their answers and the observations of other metrics, and this metric stands on the rest. Any other
                exception but those of the whole run (`vtbench.errors.VtbenchError`) counts as this one.
        """
        ...

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Reduce: return scores by name from the samples that were answered.

        Args:
            records: one per sample that was answered and that this metric observed, sorted by index.
            observations: those of this metric, in the order of `records`; arrays are restored exactly.

        Returns:
            Scores by name, e.g. `acc`; results.json has them as `acc,none` and `acc_stderr,none`.
        """
        ...


def reads_texts(metric: Metric) -> bool:
    """Whether a metric reads generated texts, and so sees every repeat of a question (`--gen repeats=K`).

    All others see its first repeat alone: a ranking and visual tokens are the same each time.
    """
    return "generate" in metric.needs


@runtime_checkable
class Fittable(Protocol):
    """An object fitted on a task's first samples: a visual metric, or a token budget with a given mean.

    The loop encodes the first samples once for all fittable objects of a task and passes each its first `fit_samples`,
    or those of another task (`FittedElsewhere`). It stores every `state` in visual/ and calls `load_state` before the
    first query, in a new run and in a resumed one.
    """

    fit_samples: int
    """Number of first samples that the object is fitted on."""
    layers: tuple[str, ...]
    """The preferred layers, the main one first. `Batch.visual` has those that the adapter gives, beside the layers of
    other metrics; a metric is left out if the adapter gives none of its layers."""

    def partial_fit(self, batch: Batch) -> None:
        """Fit on one more batch of the first samples; its `outputs` are empty. Memory must not grow with each batch.

        The samples of a batch have equally many visual tokens; those of another batch may have another number.

        Raises:
            SampleError: this batch is of no use. A metric of which that is true of every batch is left out.
        """
        ...

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the state fitted on all batches that `partial_fit` received.

        Raises:
            SampleError: they do not make a state; the metric is left out, with this reason.
        """
        ...

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace the fitted state by a stored one."""
        ...


@runtime_checkable
class FittedElsewhere(Protocol):
    """A `Fittable` that is not fitted on the samples that it scores, but on those of a task that it names."""

    def fit_task(self, task: Task) -> Task:
        """Return the task whose first `fit_samples` samples the object is fitted on.

        Objects of one run that return the same task are fitted together, so that its samples are encoded once.

        Args:
            task: the task to be scored.
        """
        ...


@runtime_checkable
class FittedTwice(Fittable, Protocol):
    """A fittable object that may want to see the same first samples once more.

    What it is fitted on may depend on all of them: a grid, for example, that every image's tokens can be pooled to.
    """

    def fit_again(self) -> bool:
        """Return whether `partial_fit` is to get the same batches once more; asked once, after the first round.

        Without a second round `state` must be that of the first.
        """
        ...


@runtime_checkable
class VisualMetric(Metric, Fittable, Protocol):
    """A metric over visual tokens: it is fitted on the task's first samples, then reduces the tokens of every batch.

    The state includes everything that `observe` needs from the first samples (the available layers, for example).
    """


@runtime_checkable
class TaskChecker(Protocol):
    """A metric that knows from a task alone whether it can score it; it is asked before the model is loaded."""

    def check_task(self, task: Task) -> None:
        """Raise if the task cannot be scored. Read as little of it as that takes, such as its first sample.

        Raises:
            SampleError: the samples have not what the metric scores; it is left out of the task, with this reason.
            VtbenchError: the user must mend something, such as a file that the metric's settings name; the run ends.
        """
        ...


def first_sample(task: Task) -> Sample | None:
    """Return the first sample of a task's first ten that can be made; None if none can."""
    for index in range(min(10, len(task))):
        with suppress(SampleError):
            return task.sample(index)
    return None


@runtime_checkable
class TaskWithMetrics(Protocol):
    """A task that brings its own metrics."""

    @property
    def metric_factories(self) -> Mapping[str, Callable[[], Metric]]:
        """Factories by name. The names are valid for this task only, and take precedence over those of plugins."""
        ...


@runtime_checkable
class BudgetMetric(Metric, Protocol):
    """A metric over answers from a part of the visual tokens; its `needs` include `budget`.

    The model generates once per batch and budget, however many metrics use that budget.
    """

    budgets: Mapping[str, Budget]
    """By name; `Batch.budgeted` has the outputs under the same names. If the metric is also a `VisualMetric`, the loop
    reads them after `load_state`."""


class BaseMetric:
    """Base class with defaults: override `observe_sample`, and `compute` for a reduction other than the mean.

        class Length(BaseMetric):
            def observe_sample(self, sample, output):
                return {"words": len((output.text or "").split())}

    It needs an adapter that can generate; set `needs` for other capabilities.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Map: return `observe_sample` of each sample, in the batch's order."""
        return [
            self.observe_sample(sample, output) for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        """Return the observation of one sample: numbers by name, empty if the metric does not apply to it."""
        raise NotImplementedError(f"{type(self).__name__} must define observe_sample or observe")

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Reduce: return the mean of each observed number, with a 95 % interval clustered by scene.

        Numbers that all lie in [0, 1] are treated as proportions, whose interval stays there. Each mean is over the
        samples that have the number. Without observations there are no scores.
        """
        from vtbench.stats import mean, proportion

        found: dict[str, Score] = {}
        for name in dict.fromkeys(name for observation in observations for name in observation):
            seen = [
                (float(observation[name]), record.cluster)
                for record, observation in zip(records, observations, strict=True)
                if isinstance(observation.get(name), (bool, int, float))
            ]
            if seen:
                values, clusters = [value for value, _ in seen], [cluster for _, cluster in seen]
                estimate = proportion if all(0 <= value <= 1 for value in values) else mean
                found[name] = estimate(values, clusters).score(percent=False)
        return found
