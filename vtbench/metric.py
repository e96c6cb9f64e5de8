"""The protocol a metric meets: how samples become numbers.

A metric is a map and a reduce. `observe` turns each sample of a batch into a small `Observation`; `compute` turns the
observations of a task into `Score`s. Observations are all that a metric keeps: they are written with the samples, so
shards merge by concatenation, a killed run resumes without asking the model again, and a rescoring needs no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vtbench.types import Capability, Observation, Output, Record, Sample, Score, VisualTokens

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as metrics see it: samples, what the model said, and its visual tokens by layer (where asked for)."""

    samples: Sequence[Sample]
    outputs: Sequence[Output]
    visual: Mapping[str, VisualTokens]


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
class VisualMetric(Metric, Protocol):
    """A metric over visual tokens: fits a basis on the task's first samples, then reduces every batch to it.

    The loop encodes the first `warmup` samples for `fit`, writes the basis to visual/, and hands it to `restore` before
    the first `observe`, in the first run and in a resumed one alike.
    """

    warmup: int
    layer: str
    """The layer whose tokens `Batch.visual` must hold."""

    def fit(self, batches: Iterable[Batch]) -> Mapping[str, np.ndarray]:
        """Return the basis. `outputs` of these batches are empty. Memory must not grow with the number of batches."""
        ...

    def restore(self, basis: Mapping[str, np.ndarray]) -> None:
        """Take up a basis that `fit` returned."""
        ...
