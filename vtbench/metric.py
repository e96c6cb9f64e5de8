"""The protocol a metric meets: how samples become numbers.

A metric is a map and a reduce. `observe` turns each sample of a batch into a small `Observation`; `compute` turns the
observations of a task into `Score`s. Observations are all that a metric keeps: they are written with the samples, so
shards merge by concatenation, a killed run resumes without asking the model again, and a rescoring needs no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vtbench.types import Capability, Observation, Output, Record, Sample, Score, VisualTokens

if TYPE_CHECKING:
    import numpy as np

    from vtbench.budget import Budget


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as metrics see it: samples, what the model said, and its visual tokens by layer (where asked for)."""

    samples: Sequence[Sample]
    outputs: Sequence[Output]
    visual: Mapping[str, VisualTokens]
    budgeted: Mapping[str, Sequence[Output]] = field(default_factory=dict)
    """What the model wrote under each of a `BudgetMetric`'s budgets, by the name that the metric gives it."""


@runtime_checkable
class Metric(Protocol):
    """How answers are scored."""

    needs: frozenset[Capability]
    """What the adapter must be able to do; the metric is left out (and the table says so) where it cannot."""

    def observe(self, batch: Batch) -> list[Observation]:
        """Map: one observation a sample, in the batch's order."""
        ...

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Reduce: named scores from the samples that were answered.

        Args:
            records: one a sample that did not fail, sorted by index.
            observations: this metric's own, in the order of `records`; arrays as they were returned by `observe`.

        Returns:
            Scores by name, e.g. `acc`; results.json writes them as `acc,none` and `acc_stderr,none`.
        """
        ...


@runtime_checkable
class Fittable(Protocol):
    """Whatever is fitted on a task's first samples: visual metrics, and token budgets of a stated mean.

    The loop encodes the first samples once for all that is fitted on a task and shows each its first `fit_samples`. It
    writes every `state` to visual/, and hands it to `load_state` before the first question, in the first run and in a
    resumed one alike.
    """

    fit_samples: int
    """How many first samples of a task it is fitted on."""
    layers: tuple[str, ...]
    """The layers it would like, the headline one first. `Batch.visual` holds those of them that the adapter gives,
    beside those of other metrics; where the adapter gives none, a metric is left out."""

    def partial_fit(self, batch: Batch) -> None:
        """Take in a batch of the first samples; its `outputs` are empty. Memory must not grow with their number."""
        ...

    def state(self) -> Mapping[str, np.ndarray]:
        """Return what is fitted on all that `partial_fit` took in."""
        ...

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up a state, in place of whatever `partial_fit` took in."""
        ...


@runtime_checkable
class VisualMetric(Metric, Fittable, Protocol):
    """A metric over visual tokens: it is fitted on the task's first samples, then reduces every batch.

    What `observe` must know of the first samples (which layers there are, say) is part of the state.
    """


@runtime_checkable
class TaskWithMetrics(Protocol):
    """A task whose answers are scored in ways of its own."""

    @property
    def metric_factories(self) -> Mapping[str, Callable[[], Metric]]:
        """Factories by name. The names count for this task alone, and come before those of plugins."""
        ...


@runtime_checkable
class BudgetMetric(Metric, Protocol):
    """A metric over answers from a part of the visual tokens; its `needs` name `budget`.

    The model generates once a batch under each budget, however many metrics name it.
    """

    budgets: Mapping[str, Budget]
    """By the names under which `Batch.budgeted` holds the outputs; of a `VisualMetric`, those after `load_state`."""


class BaseMetric:
    """A metric with defaults: override `observe_sample`, and `compute` where the mean is not what you want.

        class Length(BaseMetric):
            def observe_sample(self, sample, output):
                return {"words": len((output.text or "").split())}

    It needs an adapter that generates; set `needs` for others.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Map: `observe_sample` of each sample, in the batch's order."""
        return [
            self.observe_sample(sample, output) for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        """Return what to remember of one sample: numbers by name, empty where it is not the metric's business."""
        raise NotImplementedError(f"{type(self).__name__} must define observe_sample or observe")

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Reduce: the mean of every number that was observed, with a 95 % interval clustered by scene.

        Numbers that all lie in [0, 1] are taken for shares, whose interval stays there. Samples that lack a number do
        not count for it. Without any observation there is no score.
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
