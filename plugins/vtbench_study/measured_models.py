"""What was measured of each model of a study: read from its runs, or from a small file that outlives them.

`measured/<model>.json` has everything that the tables, verdicts and page need of a model. With these files, models that
were measured on several machines can be joined (joined_study.py), and runs and weights may be removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.runs.disk import write_file
from vtbench.runs.json_file import read_object
from vtbench.runs.provenance import strict
from vtbench_study.checkpoint_results import checkpoint_rows, checkpoints_of, shipped_results
from vtbench_study.errors import StudyError
from vtbench_study.model_results import protocols_of, read_model_results
from vtbench_study.plan import Cell, Plan


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A model of the plan, and what is known of it.

    Attributes:
        cell: the model.
        results: of the whole measurement (`read_model_results`, or `shipped_results`); None until it is finished.
        checkpoints: rows of the model and of its kept steps (`checkpoint_rows`), as far as they are measured.
        finished: whether nothing is left to measure.
    """

    cell: Cell
    results: dict[str, Any] | None
    checkpoints: Sequence[dict[str, Any]]
    finished: bool

    @property
    def is_shipped(self) -> bool:
        """Whether it is a shipped model, which has a part of the results only."""
        return self.cell.kind == "shipped"


def measured_models(plan: Plan, directory: Path) -> list[MeasuredModel]:
    """Return what was measured of every model of the plan, the shipped ones last."""
    return [_measured(directory, cell, plan) for cell in [*plan.cells(), *plan.shipped_cells()]]


def protocols(models: Sequence[MeasuredModel]) -> list[str]:
    """Return the protocols that RS of the models was measured by."""
    full = [model.results for model in models if model.results is not None and not model.is_shipped]
    rows = [row for model in models for row in model.checkpoints]
    return list(dict.fromkeys([*protocols_of(full), *(row["protocol"] for row in rows if row["protocol"])]))


def write_measured(directory: Path, models: Sequence[MeasuredModel]) -> None:
    """Write a file for each finished model."""
    for model in models:
        if model.finished:
            path = _file(directory, model.cell)
            path.parent.mkdir(exist_ok=True)
            stored = {"results": model.results, "checkpoints": list(model.checkpoints)}
            write_file(path, json.dumps(strict(stored), allow_nan=False) + "\n")


def _file(directory: Path, cell: Cell) -> Path:
    return directory / "measured" / f"{cell.name}.json"


def _measured(directory: Path, cell: Cell, plan: Plan) -> MeasuredModel:
    path = _file(directory, cell)
    if path.exists() and not (directory / "runs" / cell.name).exists():
        stored = read_object(path, StudyError, "; remove it to measure the model again")
        results, rows = stored.get("results"), stored.get("checkpoints")
        if not isinstance(results, dict) or not isinstance(rows, list):
            raise StudyError(f"{path}: broken: not a measured model; remove it to measure the model again")
        if not set(plan.tests) <= set(results.get("tests", ())):
            results = None
    else:
        is_shipped = cell.kind == "shipped"
        results = (
            shipped_results(directory, cell, plan) if is_shipped else read_model_results(directory, cell, plan.tests)
        )
        rows = checkpoint_rows([cell], plan, directory)
    wanted = {name for name, _ in checkpoints_of(cell, plan)}
    finished = results is not None and wanted <= {row["checkpoint"] for row in rows}
    return MeasuredModel(cell, results, rows, finished)
