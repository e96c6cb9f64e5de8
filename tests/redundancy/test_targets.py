"""What RS is about: pixels, the cues of scenes, or features of a file; in a run and on arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_fakes import OTHERS, batches, record
from redundancy_fakes import white

from vtbench.cli import status
from vtbench.errors import SampleError, VtbenchError
from vtbench.metric import Batch
from vtbench.scenes.scene import CANVAS, Background, Scene, SceneObject
from vtbench.types import Record, Sample, Score, Task, VisualTokens
from vtbench_redundancy import redundancy_score, score_arrays
from vtbench_redundancy.errors import InputError
from vtbench_redundancy.features.scene_cues import CueColumns
from vtbench_redundancy.metrics.token_metrics import LayersMetric, RedundancyMetric, TokenUseMetric
from vtbench_redundancy.protocol import custom_protocol
from vtbench_redundancy.scores.cue_use import accuracy_above_chance

torch.set_num_threads(1)
COLOURS, IMAGES, BASIS, DIM = ("red", "green", "blue"), 300, 100, 24
COLUMNS = CueColumns.of([])
CODE = np.random.default_rng(0).standard_normal((12, DIM)).astype(np.float32)


def thing(number: int, colour: str, x: float, y: float) -> SceneObject:
    at = round(x * CANVAS), round(y * CANVAS)
    return SceneObject(number, "circle", colour, "solid", "small", (0, 0, 0), 9, *at, rotation=0, z=number)


def scene(index: int) -> Scene:
    """A red, a green and a blue circle, of which some are missing."""
    draw = np.random.default_rng([index, 1])  # images are drawn from the index alone
    there = [colour for colour in COLOURS if draw.random() < 0.7]
    return Scene(Background("black", (0, 0, 0)), tuple(thing(i, c, *draw.random(2)) for i, c in enumerate(there)))


def seen(indices: range, scenes: bool = True, size: int = 50) -> Iterator[Batch]:
    """Images whose tokens tell one colour's count and place each, whatever their pixels are."""
    rows = [i for i, (kind, word) in enumerate(COLUMNS.values) if kind == "colour" and word in COLOURS]
    for batch in batches(indices, size):
        tokens = []
        for sample in batch.samples:
            facts = COLUMNS.of_scene(scene(sample.index)).reshape(-1, 3)[rows] - [0.7, 0.5, 0.5]
            noise = 0.05 * np.random.default_rng(sample.index + 1).standard_normal((4, DIM))
            tokens.append(np.stack([f @ CODE[3 * i : 3 * i + 3] for i, f in enumerate([*facts, facts[0]])]) + noise)
        visual = {"connector": VisualTokens("connector", np.stack(tokens).astype(np.float32))}
        samples = [replace(s, scene=scene(s.index) if scenes else None) for s in batch.samples]
        yield Batch(samples, batch.outputs, visual)


def run(metric: RedundancyMetric, n: int = IMAGES, basis: bool = True, scored: bool = True) -> dict[str, Score]:
    first = type(metric)(metric.protocol)
    for batch in seen(range(OTHERS, OTHERS + BASIS), basis):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    found = [o for batch in seen(range(n), scored) for o in metric.observe(batch)]
    return metric.compute([record(i) for i in range(n)], found)


def small(target: str = "pixels") -> RedundancyMetric:
    return RedundancyMetric(custom_protocol({"target": target, "r": 4, "permutations": 2}))


@pytest.fixture(scope="module")
def about_pixels() -> dict[str, Score]:
    return run(small())


@pytest.fixture(scope="module")
def about_cues() -> dict[str, Score]:
    return run(small("cues"))


def test_columns_of_a_scene() -> None:
    two = (thing(0, "red", 0.25, 0.5), thing(1, "red", 0.75, 1.0), thing(2, "pink", 0.0, 0.0))
    columns = CueColumns.of([{"colours": {"pink": (255, 0, 255)}}])
    named = dict(zip(columns.names, columns.of_scene(Scene(Background("black", (0, 0, 0)), two)).tolist(), strict=True))
    assert [named[f"{what} of colour red"] for what in ("count", "x", "y")] == [2, 0.5, 0.75]
    assert [named[f"{what} of colour pink"] for what in ("count", "x", "y")] == [1, 0, 0]
    assert [named[f"{what} of colour blue"] for what in ("count", "x", "y")] == [0, 0.5, 0.5]
    assert named["count of shape circle"] == named["count of size small"] == 3
    assert len(columns) == 69
    assert CueColumns.of_array(columns.array()) == columns


def test_tokens_that_know_cues_and_no_pixels(about_pixels: dict[str, Score]) -> None:
    """RS about pixels has nothing to say; the cues are known nearly exactly."""
    found = about_pixels
    assert "low_information" in found["rs"].flags
    cues = found["cue_information"]
    assert cues.value > 5
    assert cues.detail["columns"] == 18  # three colours, and the one shape, texture and size
    assert "left_out" not in found["rs"].detail


def test_target_cues_is_about_them(about_cues: dict[str, Score]) -> None:
    found = about_cues
    assert found["rs"].value > 0.1  # the first token's colour is told twice
    assert found["rs"].detail["protocol"] == "rs-v2 r=4 target=cues permutations=2"
    assert found["cue_information"].value == pytest.approx(found["rs"].detail["information_joint"])
    assert 1 - found["discarded"].value == pytest.approx(found["cue_information"].detail["available"]["share"])
    assert set(found["rs"].detail).isdisjoint({"r_pix", "delta_rs", "rs_given_colour"})


def test_a_basis_about_pixels_says_less_about_cues(about_pixels: dict[str, Score]) -> None:
    """Why cues have directions of their own: of 24 dimensions 4 are kept."""
    metric, first = small(), small()
    for batch in seen(range(OTHERS, OTHERS + BASIS)):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    own = about_pixels["cue_information"].value
    found = [o for batch in seen(range(IMAGES)) for o in metric.observe(batch)]
    shared = [{name: value for name, value in o.items() if not name.startswith("cue_tokens")} for o in found]
    assert metric.compute([record(i) for i in range(IMAGES)], shared)["cue_information"].value < 0.9 * own


def test_layers_about_cues() -> None:
    found = run(LayersMetric(custom_protocol({"target": "cues", "r": 4})))
    assert set(found) == {"rs_connector", "discarded_connector", "cue_information_connector"}
    assert found["cue_information_connector"].value > 5


@pytest.mark.parametrize(("basis", "scored"), [(False, False), (False, True)])
def test_images_without_scenes_have_no_row_but_a_reason(basis: bool, scored: bool) -> None:
    found = run(small(), basis=basis, scored=scored)
    assert set(found) == {"rs", "n_eff_16", "discarded"}
    assert "have no scenes" in found["rs"].detail["left_out"]["cue_information"]


def test_scored_images_without_scenes_are_not_in_the_score() -> None:
    metric = small()
    first = small()
    for batch in seen(range(OTHERS, OTHERS + BASIS)):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    shown = [*seen(range(200)), *seen(range(200, 300), scenes=False)]
    found = [o for batch in shown for o in metric.observe(batch)]
    scores = metric.compute([record(i) for i in range(300)], found)
    assert (scores["rs"].n, scores["cue_information"].n) == (300, 200)


def test_target_cues_of_images_without_scenes_says_so() -> None:
    with pytest.raises(SampleError, match=r"target=cues is about scenes, and the sample t/test/0/\d+ has none"):
        run(small("cues"), basis=False)


def test_a_state_of_before_cues_were_measured_shows_nothing() -> None:
    first, metric = small(), small()
    for batch in seen(range(OTHERS, OTHERS + BASIS)):
        first.partial_fit(batch)
    older = {k: v for k, v in first.state().items() if k not in ("cue_values", "has_cues") and "cue_tokens" not in k}
    metric.load_state(older)
    found = [o for batch in seen(range(200)) for o in metric.observe(batch)]
    scores = metric.compute([record(i) for i in range(200)], found)
    assert "cue_information" not in scores
    assert "left_out" not in scores["rs"].detail


class Made:
    """A task of so many samples."""

    name, split = "t", "test"

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def config(self) -> dict:
        return {"data": "x"}

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        return next(batches(range(index, index + 1), 1)).samples[0]


def made(n: int) -> Task:
    task: Task = Made(n)  # type: ignore[assignment]
    return task


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
        ("two.npz", 600, "2 arrays beside 'ids'; wanted one"),
        ("twice.npz", 600, "600 rows but 1 different ids; give one id a row"),
    ],
)
def test_files_that_do_not_fit(features: Path, name: str, n: int, message: str) -> None:
    rows = np.load(features / "features.npy")
    np.save(features / "flat.npy", rows[:, 0])
    np.save(features / "nan.npy", np.where(np.arange(rows.size).reshape(rows.shape) == 3 * rows.shape[1], np.nan, rows))
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


def test_token_use_about_cues() -> None:
    protocol = custom_protocol({"target": "cues", "r": 4})
    first, metric = TokenUseMetric(protocol), TokenUseMetric(protocol)
    for batch in seen(range(OTHERS, OTHERS + BASIS)):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    found = [o for batch in seen(range(IMAGES)) for o in metric.observe(batch)]
    unique = metric.compute([record(i) for i in range(IMAGES)], found)["unique"]
    assert 0.2 < unique.value < 0.9


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens that are the features twice over, and patches that have nothing to do with them."""
    features = white(600, 4, 2, seed=1)
    return np.concatenate([features, features], axis=1), white(600, 4, 6, seed=2), features.reshape(600, 8)


def test_features_of_arrays() -> None:
    tokens, patches, features = arrays()
    assert redundancy_score(tokens, patches=patches).rs.value is None
    assert redundancy_score(tokens, patches=patches, target=features).rs.value == pytest.approx(0.5, abs=0.01)
    found = score_arrays(tokens[:, :4], patches=patches, target=features).scores()
    assert "carriers" not in found
    assert found["discarded"].value == pytest.approx(0, abs=0.01)
    with pytest.raises(VtbenchError, match="tokens are of 600 images but the target has 599 rows"):
        redundancy_score(tokens, patches=patches, target=features[:599])


def test_features_of_many_dimensions_are_reduced() -> None:
    """Of 400 features 192 principal components are kept: all that there is, as they have rank 8."""
    tokens, patches, features = arrays()
    wide = features @ np.random.default_rng(0).standard_normal((8, 400)).astype(np.float32)
    assert redundancy_score(tokens, patches=patches, target=wide).rs.value == pytest.approx(0.5, abs=0.02)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, array in zip(("tokens", "patches", "features"), arrays(), strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    given = [str(tmp_path / "tokens.npy"), str(tmp_path / "patches.npy")]
    assert status(["score", *given, "--target", str(tmp_path / "features.npy"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rs"] == pytest.approx(0.5, abs=0.01)
    assert found["protocol"]["name"] == "rs-v2 target=features.npy"
    assert status(["score", *given, "--target", "cues"]) == 2
    assert "--target cues needs scenes, which arrays have not" in capsys.readouterr().err
    assert status(["score", *given, "--target", str(tmp_path / "features.npy"), "--estimator", "ksg"]) == 2
    assert "goes with --estimator gaussian" in capsys.readouterr().err


def test_what_is_used_is_accuracy_above_chance() -> None:
    def asked(index: int, correct: bool, choices: tuple[str, ...] = ("a", "b", "c", "d")) -> Record:
        scores = {"accuracy": {"answer": "a", "correct": int(correct)}}
        return replace(record(index), target="a", choices=choices, scores=scores)

    used = accuracy_above_chance([asked(i, i % 2 == 0) for i in range(100)])
    assert (used["accuracy"], used["chance"], used["n"]) == (0.5, 0.25, 100)
    assert used["value"] == pytest.approx(1 / 3)
    assert used["interval"][0] < 1 / 3 < used["interval"][1]
    assert accuracy_above_chance([asked(i, i % 4 == 0) for i in range(100)])["value"] == 0
    assert accuracy_above_chance([record(0)]) is None
    assert accuracy_above_chance([asked(0, True, ())]) is None
