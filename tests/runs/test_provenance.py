"""What decides whether two runs are one: the digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from host_fakes import quiz, registry

import vtbench
from vtbench.errors import ResultsError
from vtbench.runs.results import RunResult


def go(task: Path, **fields: Any) -> RunResult:
    describes = fields.pop("describes")
    output = str(task.parent / "out")
    return vtbench.run(
        "fake", [task], output=output, registry=registry(), report=False, model_args={"describes": describes}, **fields
    )


@pytest.fixture
def same_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the model's arguments out of the digest: here only what the model says of itself differs."""
    monkeypatch.setattr("vtbench.runs.provenance.SCORE_KEYS", frozenset({"model", "limit"}))


@pytest.mark.usefixtures("same_arguments")
def test_the_type_of_the_device_decides_and_its_number_does_not(tmp_path: Path) -> None:
    """A CPU and a GPU round differently; two GPUs of one machine do not."""
    first = go(quiz(tmp_path, 4), describes={"device": "cuda:0"})
    for device in ("cuda:1", "cuda"):
        assert go(tmp_path / "quiz.yaml", describes={"device": device}, resume=True).path == first.path
    for device in ("cpu", "mps:0"):
        with pytest.raises(ResultsError, match=rf'identity\.device \("cuda" there, "{device.partition(":")[0]}" here'):
            go(tmp_path / "quiz.yaml", describes={"device": device}, resume=True)


@pytest.mark.usefixtures("same_arguments")
@pytest.mark.parametrize(
    ("key", "one", "other"),
    [("dtype", "float32", "bfloat16"), ("checkpoint", "a", "b"), ("fingerprint", "ab", "cd"), ("parameters", 1, 2)],
)
def test_what_identifies_the_model_decides(tmp_path: Path, key: str, one: Any, other: Any) -> None:
    go(quiz(tmp_path, 4), describes={key: one})
    with pytest.raises(ResultsError, match=rf"identity\.{key} "):
        go(tmp_path / "quiz.yaml", describes={key: other}, resume=True)


@pytest.mark.usefixtures("same_arguments")
def test_new_versions_of_packages_do_not_end_a_run(tmp_path: Path) -> None:
    first = go(quiz(tmp_path, 4), describes={"versions": {"torch": "2.6"}})
    assert go(tmp_path / "quiz.yaml", describes={"versions": {"torch": "2.7"}}, resume=True).path == first.path
