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
class Fitted(Protocol):
    """Whatever is fitted on a task's first samples: visual metrics, and token budgets of a stated mean.

    The loop encodes the first samples once for all that is fitted on a task and shows each its first `warmup`. It
    writes every `basis` to visual/, and hands it to `restore` before the first question, in the first run and in a
    resumed one alike.
    """

    warmup: int
    layers: tuple[str, ...]
    """The layers it would like, the headline one first. `Batch.visual` holds those of them that the adapter gives,
    beside those of other metrics; where the adapter gives none, a metric is left out."""

    def warm(self, batch: Batch) -> None:
        """Take in a batch of the first samples; its `outputs` are empty. Memory must not grow with their number."""
        ...

    def basis(self) -> Mapping[str, np.ndarray]:
        """Return what is fitted on all that `warm` took in."""
        ...

    def restore(self, basis: Mapping[str, np.ndarray]) -> None:
        """Take up a basis, in place of whatever `warm` took in."""
        ...


@runtime_checkable
class VisualMetric(Metric, Fitted, Protocol):
    """A metric over visual tokens: fits a basis on the task's first samples, then reduces every batch to it.

    What `observe` must know of the first samples (which layers there are, say) is part of the basis.
    """


class BringsMetrics(Protocol):
    """A task whose answers are scored in ways of its own."""

    own_metrics: Mapping[str, Callable[[], Metric]]
    """Factories by name. The names count for this task alone, and come before those of plugins."""


@runtime_checkable
class BudgetMetric(Metric, Protocol):
    """A metric over answers from a part of the visual tokens; its `needs` name `budget`.

    The model generates once a batch under each budget, however many metrics name it.
    """

    budgets: Mapping[str, Budget]
    """By the names under which `Batch.budgeted` holds the outputs. Of a `VisualMetric`, those after `restore` count."""
