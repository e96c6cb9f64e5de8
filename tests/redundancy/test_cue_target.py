"""What tokens say about the cues of scenes, as the target of RS or beside the pixels, in a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from image_fakes import OTHERS, record
from target_fakes import BASIS, IMAGES, run, seen, small, thing

from vtbench.errors import SampleError
from vtbench.scenes.scene import Background, Scene
from vtbench.types import Record, Score
from vtbench_redundancy.features.scene_cues import CueColumns
from vtbench_redundancy.metrics.token_metrics import LayersMetric, TokenUseMetric
from vtbench_redundancy.protocol import custom_protocol
from vtbench_redundancy.scores.cue_use import accuracy_above_chance

torch.set_num_threads(1)


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


def test_token_use_about_cues() -> None:
    protocol = custom_protocol({"target": "cues", "r": 4})
    first, metric = TokenUseMetric(protocol), TokenUseMetric(protocol)
    for batch in seen(range(OTHERS, OTHERS + BASIS)):
        first.partial_fit(batch)
    metric.load_state(dict(first.state()))
    found = [o for batch in seen(range(IMAGES)) for o in metric.observe(batch)]
    unique = metric.compute([record(i) for i in range(IMAGES)], found)["unique"]
    assert 0.2 < unique.value < 0.9


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
