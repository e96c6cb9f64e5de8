"""The protocol that a tracker of experiments meets: where summaries of finished runs go.

Weights & Biases, MLflow and TensorBoard are examples. A tracker gets one `Summary` of each finished run; one that fails
is a warning, as the run itself is already on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Summary:
    """What a tracker is told of a finished run. No secret is in it."""

    id: str
    """16 hexadecimal digits, the same whenever this run is published again: a resumed run is no second one."""
    name: str
    config: Mapping[str, str | int | float | bool]
    """What was run, flat: `config.model`, `model.checkpoint`, `versions.torch`."""
    numbers: Mapping[str, float]
    """`TASK/SCORE`, with `_low` and `_high` (95 %), `_stderr` and `_n`; `TASK/samples_per_second`, `TASK/failed`."""
    directory: Path
    """Of the run."""
    files: tuple[Path, ...]
    """Worth keeping beside the numbers: report.html, results.json, run.json."""


@runtime_checkable
class Tracker(Protocol):
    """Where summaries of runs go."""

    def publish(self, summary: Summary) -> str:
        """Store a summary and return where it can be seen: an address or a directory.

        A summary replaces an earlier one of the same `id`.
        """
        ...
