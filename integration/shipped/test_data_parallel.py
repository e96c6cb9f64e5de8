"""Two copies of the embedded model, in processes of their own, are one model to a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vtbench
from vtbench.errors import VtbenchError

GIVEN: dict[str, Any] = {"model": "llava", "tasks": ["coarse"], "limit": 12, "batch_size": 4, "device": "cpu"}


def timeless(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def test_two_copies_give_the_same_scores(tmp_path: Path) -> None:
    one = vtbench.run(**GIVEN, output=str(tmp_path / "one"))
    two = vtbench.run(**GIVEN, output=str(tmp_path / "two"), data_parallel=2)
    assert timeless(two.path / "samples.jsonl") == timeless(one.path / "samples.jsonl")
    assert two.document["scores"] == one.document["scores"]


def test_a_model_that_cannot_be_loaded_is_refused_by_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(VtbenchError, match=r"there is no directory './nowhere'"):
        vtbench.run(**GIVEN, output=str(tmp_path), model_args={"pretrained": "./nowhere"}, data_parallel=2)
