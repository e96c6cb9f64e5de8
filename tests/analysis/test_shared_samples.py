"""Which samples of two runs are paired: those whose id, question, right answers and images agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from host_fakes import FakeModel, quiz, registry
from hypothesis import given
from hypothesis import strategies as st

import vtbench
from vtbench.cli import status
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.types import Record
from vtbench_analysis.comparison.report import shared_samples_text
from vtbench_analysis.comparison.run_comparison import compare
from vtbench_analysis.comparison.shared_samples import match_samples
from vtbench_analysis.errors import AnalysisError

N = 12
Line = dict[str, Any]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two finished runs of one task."""
    task = quiz(tmp_path, N, metrics="[hits]")

    def run(name: str) -> Path:
        return vtbench.run("fake", [task], output=tmp_path / name, registry=registry(), report=False).path

    return run("a"), run("b")


def edit(path: Path, change: Callable[[Line], Line]) -> None:
    lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    (path / "samples.jsonl").write_text("".join(json.dumps(change(line)) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("field", "value"),
    [("prompt", "another?"), ("target", "no way"), ("references", ["maybe"]), ("choices", ["yes", "no", "maybe"])],
)
def test_samples_with_other_questions_or_answers_are_not_paired(
    two: tuple[Path, Path], field: str, value: object
) -> None:
    edit(two[1], lambda line: line | {field: value} if line["index"] in (3, 8) else line)
    table = compare(two).tables["quiz"]
    assert [record.index for record in table.shared.records[0]] == [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]
    assert (len(table.shared), table.shared.n_other_questions, table.shared.n_other_images) == (10, 2, 0)
    assert "10 shared samples of 12, 12; with other questions or right answers, left out: 2" in shared_samples_text(
        table
    )
    assert compare(two).document["tasks"]["quiz"]["other_questions"] == 2


def test_runs_of_other_questions_under_the_same_ids_are_refused(two: tuple[Path, Path]) -> None:
    edit(two[1], lambda line: line | {"prompt": line["prompt"] + "!"})
    with pytest.raises(AnalysisError, match="quiz has the same ids with other questions or right answers"):
        compare(two)


def test_other_images_count_as_such(two: tuple[Path, Path]) -> None:
    edit(two[1], lambda line: line | {"image_sha256": ["0" * 64], "prompt": "?"} if line["index"] == 4 else line)
    shared = compare(two).tables["quiz"].shared
    assert (len(shared), shared.n_other_images, shared.n_other_questions) == (11, 1, 0)


def test_a_sample_that_could_not_be_made_is_failed_and_no_other_question(two: tuple[Path, Path]) -> None:
    broken = {"prompt": "", "target": "", "choices": [], "image_sha256": [], "error": "unreadable", "scores": {}}
    edit(two[1], lambda line: line | broken if line["index"] == 4 else line)
    shared = compare(two).tables["quiz"].shared
    assert (len(shared), shared.n_failed, shared.n_other_images, shared.n_other_questions) == (11, (0, 1), 0, 0)


def test_repeated_ids_pair_the_samples_that_agree(two: tuple[Path, Path]) -> None:
    """As runs of older versions have them; every row counts, whatever its place."""
    for path in two:
        edit(path, lambda line: line | {"id": f"image {line['index'] // 4}"})
    edit(two[1], lambda line: line | {"index": (line["index"] + 5) % N})
    shared = compare(two).tables["quiz"].shared
    assert len(shared) == N
    assert all(a.prompt == b.prompt for a, b in zip(*shared.records, strict=True))


class Stored:
    """A run as `match_samples` sees it."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def records(self, task: str) -> list[Record]:
        return self._records

    def samples(self, task: str) -> int:
        return len(self._records)


RECORDS = st.lists(
    st.builds(
        lambda name, prompt, target, image, error: Record(
            "t", name, 0, prompt, target, image_sha256=(image,), error=error or None
        ),
        *[st.sampled_from("ab")] * 4,
        st.sampled_from(["", "", "", "broken"]),
    ),
    max_size=12,
)


@given(st.lists(RECORDS, min_size=2, max_size=3))
def test_pairs_agree_and_none_is_left_that_could_be_paired(each: list[list[Record]]) -> None:
    shared = match_samples("t", [Stored(records) for records in each])  # type: ignore[misc]

    def contents(record: Record) -> tuple[object, ...]:
        return record.id, record.prompt, record.target, record.image_sha256

    for row in zip(*shared.records, strict=True):
        assert len({contents(record) for record in row}) == 1
        assert not any(record.error for record in row)
    answered = [[contents(record) for record in records if not record.error] for records in each]
    everything = {key for keys in answered for key in keys}
    assert len(shared) == sum(min(keys.count(key) for keys in answered) for key in everything)


def scene(size: int, **changes: object) -> Record:
    """A question about a scene, drawn at a size."""
    facts = {"scene_hash": "a scene", "image_sha256": (f"its pixels at {size}",), **changes}
    return Record("t", "t/0", 0, "What?", "yes", **facts)  # type: ignore[arg-type]


def test_a_scene_is_the_same_image_at_any_size() -> None:
    """A model takes images of its own size, and a control without one those of the task."""
    shared = match_samples("t", [Stored([scene(64)]), Stored([scene(224)])])  # type: ignore[list-item]
    assert (len(shared), shared.n_other_sizes, shared.n_other_images) == (1, 1, 0)
    other = match_samples("t", [Stored([scene(64)]), Stored([scene(64, scene_hash="another")])])  # type: ignore[list-item]
    assert (len(other), other.n_other_images) == (0, 1)


@pytest.mark.parametrize("control", ["blind", "shuffled", "majority", "blind:model=echo", "shuffled:model=echo"])
def test_every_control_compares_with_a_model_that_takes_another_size(
    control: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that shows its model something else: it answers about the same sample."""

    def run(model: str, registry: Registry, model_args: str = "") -> Path:
        settings: dict[str, Any] = {"tasks": ["relational"], "limit": 6, "output": str(tmp_path / "runs")}
        settings |= {"metrics": ["accuracy"], "report": False, "model_args": model_args}
        return vtbench.run(model, registry=registry, **settings).path

    class Small(FakeModel):
        image_size = 32

    class Models:
        @hookimpl
        def vtbench_adapters(self) -> dict[str, Any]:
            return {"small": Small}

    name, _, arguments = control.partition(":")
    both = run("small", Registry({"models": Models()})), run(name, Registry(), arguments)
    shared = compare(both).tables["relational"].shared
    assert (len(shared), shared.n_other_sizes) == (6, 6)
    assert status(["compare", *map(str, both)]) == 0
    assert "6 shared samples of 6, 6; the same scenes drawn at another size: 6" in capsys.readouterr().out
