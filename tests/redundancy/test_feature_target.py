"""Features of a file as the target of RS, in a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_fakes import record
from target_fakes import COLUMNS, made, run, scene, seen, small

from vtbench.errors import VtbenchError
from vtbench.metric import Batch
from vtbench.task.prepared import Repeated
from vtbench.types import Score
from vtbench_redundancy.errors import InputError
from vtbench_redundancy.protocol import custom_protocol

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def about_cues() -> dict[str, Score]:
    return run(small("cues"))


def once(indices: range) -> Iterator[Batch]:
    return seen(indices, scenes=False)


def twice(indices: range) -> Iterator[Batch]:
    """Each question asked twice, as `Repeated` numbers and names the samples."""
    for batch in once(indices):
        tokens = batch.visual["connector"]
        samples = [
            replace(s, id=s.id + "~1" * r, index=2 * s.index + r, repeat=r) for s in batch.samples for r in range(2)
        ]
        visual = {"connector": replace(tokens, tokens=np.repeat(tokens.tokens, 2, axis=0))}
        yield Batch(samples, [output for output in batch.outputs for _ in range(2)], visual)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """What the tokens know, as features of images 0 to 599."""
    rows = np.stack([COLUMNS.of_scene(scene(i)) for i in range(600)])
    np.save(tmp_path / "features.npy", rows)
    np.savez(tmp_path / "named.npz", ids=[f"t/test/0/{i}" for i in range(600)][::-1], features=rows[::-1])
    return tmp_path


@pytest.mark.parametrize("name", ["features.npy", "named.npz"])
def test_a_file_of_features_in_a_run(features: Path, name: str, about_cues: dict[str, Score]) -> None:
    first, metric = (small(str(features / name)) for _ in range(2))
    source = first.fit_task(made(600))
    assert len(source) == 200  # the first third: of others there are no features
    for batch in seen(range(200), scenes=False):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    found = [o for batch in seen(range(600), scenes=False) for o in metric.observe(batch)]
    scores = metric.compute([record(i) for i in range(600)], found)
    assert scores["rs"].n == 400
    assert scores["rs"].value == pytest.approx(about_cues["rs"].value, abs=0.05)
    assert scores["rs"].detail["protocol"] == f"rs-v2 r=4 target={name} permutations=2"
    assert "cue_information" not in scores


@pytest.mark.parametrize("name", ["features.npy", "named.npz"])
def test_repeats_of_a_question_have_the_row_of_its_image(features: Path, name: str) -> None:
    """As they show one image, the run with repeats scores as that without, also when it is resumed."""
    first, metric = small(str(features / name)), small(str(features / name))
    assert len(first.fit_task(Repeated(made(600), 2))) == 400
    for batch in twice(range(200)):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    plain, again = (next(asked(range(200, 250))) for asked in (once, twice))
    rows = [o["target"] for o in metric.observe(again)]
    assert np.array_equal(rows[::2], rows[1::2])
    one = small(str(features / name))
    one.fit_task(made(600))
    for batch in once(range(200)):
        one.partial_fit(batch)
    one.load_state(dict(one.state()))
    assert np.array_equal(rows[::2], [o["target"] for o in one.observe(plain)])


def test_a_run_does_not_go_on_with_another_file_of_the_name(features: Path) -> None:
    first, again = (small(str(features / "features.npy")) for _ in range(2))
    first.fit_task(made(600))
    for batch in seen(range(200), scenes=False):
        first.partial_fit(batch)
    np.save(features / "features.npy", np.load(features / "features.npy")[::-1])
    again.fit_task(made(600))
    again.load_state(dict(first.state()))
    with pytest.raises(InputError, match="has other features than when this run began"):
        again.observe(next(seen(range(200, 250), scenes=False)))


@pytest.mark.parametrize(
    ("name", "n", "message"),
    [
        ("features.npy", 500, "600 rows for 500 samples of t; give one row a sample"),
        ("named.npz", 700, ""),
        ("nothing.npy", 600, "no such file"),
        ("flat.npy", 600, r"has the shape \(600,\); wanted \(images, features\)"),
        ("nan.npy", 600, "1 values are NaN or infinite, the first in row 3"),
        ("same.npy", 600, "all 600 rows are the same, so there is nothing to know about the images"),
        ("two.npz", 600, "2 arrays beside 'ids'; wanted one"),
        ("twice.npz", 600, "600 rows but 1 different ids; give one id a row"),
    ],
)
def test_files_that_do_not_fit(features: Path, name: str, n: int, message: str) -> None:
    rows = np.load(features / "features.npy")
    np.save(features / "flat.npy", rows[:, 0])
    np.save(features / "nan.npy", np.where(np.arange(rows.size).reshape(rows.shape) == 3 * rows.shape[1], np.nan, rows))
    np.save(features / "same.npy", np.ones_like(rows))
    np.savez(features / "two.npz", ids=np.arange(600), a=rows, b=rows)
    np.savez(features / "twice.npz", ids=["same"] * 600, a=rows)
    metric = small(str(features / name))
    if message:
        with pytest.raises(VtbenchError, match=message):
            metric.fit_task(made(n))
        return
    metric.fit_task(made(n))
    batch = next(seen(range(690, 700), scenes=False))
    with pytest.raises(VtbenchError, match="no row for the sample t/test/0/690; give features of every image"):
        metric.partial_fit(batch)


@pytest.mark.parametrize("value", ["cue", "features", "features.csv"])
def test_a_target_that_is_none(value: str) -> None:
    with pytest.raises(VtbenchError, match=f"target must be pixels, cues or a file .*, not '{value}'"):
        custom_protocol({"target": value})
