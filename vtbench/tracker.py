"""The tracker protocol: publishes summaries of finished runs, for example to Weights & Biases, MLflow or TensorBoard.

A tracker receives one `Summary` per finished run. If it fails, vtbench warns and goes on: the run is already on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a finished run, without secrets."""

    id: str
    """16 hexadecimal digits, the same each time this run is published, so that a resumed run is not a second one."""
    name: str
    config: Mapping[str, str | int | float | bool]
    """The config, flattened: `config.model`, `model.checkpoint`, `versions.torch`."""
    numbers: Mapping[str, float]
    """`TASK/SCORE`, with `_low` and `_high` (95 %), `_stderr` and `_n`; `TASK/samples_per_second`, `TASK/failed`."""
    directory: Path
    """The run's directory."""
    files: tuple[Path, ...]
    """Files to keep beside the numbers: report.html, results.json, run.json."""


@runtime_checkable
class Tracker(Protocol):
    """A service or directory that stores summaries of runs."""

    def publish(self, summary: Summary) -> str:
        """Store a summary and return its location: an address or a directory.

        A summary replaces an earlier one of the same `id`.
        """
        ...
