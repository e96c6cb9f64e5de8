"""Redundancy over images with unequal token counts: what is known to be true of one size is found on several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from image_fakes import record
from mixed_fakes import MOST_OTHERS, copies, fit, patches, run, with_basis

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.types import Score, VisualTokens
from vtbench_redundancy.features.common_grid import Grid
from vtbench_redundancy.metrics.token_metrics import CarriersMetric, LayersMetric, RedundancyMetric, TokenUseMetric
from vtbench_redundancy.protocol import Protocol

torch.set_num_threads(1)
N = 150
IMAGES = 1200
"""As many as known truth of one size takes (`test_coordinate_metric`): with fewer, RS is biased for any size."""
FEW_DRAWS = Protocol(permutations=2)
"""Nothing here is about the draws of the noise and of the null, which take most of the time."""
EQUAL = (Grid(4, 4).boxes(),)
SETS = {
    "more tokens": (Grid(4, 4).boxes(), Grid(8, 8).boxes(), Grid(12, 4).boxes(), Grid(4, 8).boxes()),
    "turned": (Grid(4, 8).boxes(), Grid(8, 4).boxes()),
    "overview and tiles": tuple(
        np.concatenate([Grid(4, 4).boxes(), grid.boxes()]) for grid in (Grid(8, 8), Grid(8, 4), Grid(4, 4))
    ),
}
MADE = {"patches": patches, "copies": copies}


@cache
def shown(name: str, made: str, n: int) -> tuple[list[Batch], list[Batch]]:
    """The batches of a set, made once for all metrics."""
    return with_basis(SETS.get(name, EQUAL), range(n), 32, MADE[made])


@cache
def scores(metric: type, name: str, made: str, n: int = IMAGES) -> dict[str, Score]:
    found, indices = run(metric(FEW_DRAWS), *shown(name, made, n))
    assert len(indices) == n, "every image is measured"
    return found


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("made", MADE)
def test_several_sizes_have_the_redundancy_of_one(name: str, made: str) -> None:
    found, equal = scores(RedundancyMetric, name, made), scores(RedundancyMetric, "equal", made)
    truth = 1 - 1 / found["rs"].detail["m"] if made == "copies" else 0
    assert found["rs"].value == pytest.approx(truth, abs=0.02)
    for key, tolerance in {"rs": 0, "n_eff_16": 0, "discarded": 0.01}.items():
        one, other = found[key], equal[key]
        apart = abs(one.value - other.value)
        assert apart <= tolerance + np.hypot(*(s.interval[1] - s.value for s in (one, other))), key
        assert one.n == other.n == IMAGES
        assert one.detail["grid"] == [4, 4]
        assert one.detail["N"] == 16
        assert one.flags == (*other.flags, "pooled")
        assert "grid" not in other.detail
    of_images, of_equal = (each["rs"].detail["r_pix"]["value"] for each in (found, equal))
    assert of_images == pytest.approx(of_equal, abs=1e-3)
    assert sum(found["rs"].detail["first_images_by_token_count"].values()) == MOST_OTHERS


@pytest.mark.parametrize("metric", [CarriersMetric, TokenUseMetric, LayersMetric])
def test_the_kin_of_rs_are_pooled_alike(metric: type) -> None:
    for made in MADE:
        found, equal = (scores(metric, name, made) for name in ("more tokens", "equal"))
        for key, score in found.items():
            assert score.value == pytest.approx(equal[key].value, abs=0.35 if key == "carriers" else 0.02), key
            assert score.detail["grid"] == [4, 4]
            assert "pooled" in score.flags


def test_the_basis_of_pooled_tokens_finds_what_they_say_about_the_image() -> None:
    """Forty louder dimensions say nothing about it: principal components would keep these alone."""

    def loud(index: int, boxes: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(index + 2).standard_normal((len(boxes), 40))
        return np.concatenate([patches(index, boxes), 20 * noise], axis=1)

    found, _ = run(RedundancyMetric(FEW_DRAWS), *with_basis(SETS["turned"], range(IMAGES), 32, loud, most=IMAGES))
    plain = scores(RedundancyMetric, "turned", "patches")
    assert (found["rs"].detail["basis"], plain["rs"].detail["basis"]) == ("supervised", "none")
    assert found["rs"].value == pytest.approx(0, abs=0.02)
    assert found["discarded"].value == pytest.approx(plain["discarded"].value, abs=0.05)


def test_a_sink_is_a_place_whose_tokens_are_long() -> None:
    def spiked(index: int, boxes: np.ndarray) -> np.ndarray:
        """The four tokens within the first cell point in opposite directions: their mean is short."""
        found, inside = patches(index, boxes), np.flatnonzero((boxes[:, 2:] <= 0.25 + 1e-9).all(axis=1))
        found[inside] = 100.0 * np.where(np.arange(len(inside)) % 2, -1, 1)[:, None]
        return found

    found, _ = run(TokenUseMetric(FEW_DRAWS), *with_basis(SETS["more tokens"], range(100), 32, spiked))
    assert found["sink"].detail["tokens"] == [0]


def test_neither_order_nor_batches_matter() -> None:
    order = np.random.default_rng(0).permutation(N).tolist()
    found, _ = run(RedundancyMetric(FEW_DRAWS), *with_basis(SETS["more tokens"], order, 50))
    for key, score in scores(RedundancyMetric, "more tokens", "patches", N).items():
        assert found[key].value == pytest.approx(score.value, abs=1e-4)
        assert found[key].flags == score.flags


def test_images_of_one_count_are_measured_as_before() -> None:
    """Of one number in one arrangement, wherever in the image it stands: a crop has its own boxes for each size."""
    crops = (Grid(4, 4).boxes(), 0.1 + 0.8 * Grid(4, 4).boxes())
    plain = with_basis(EQUAL * 2, range(N), 32, placed=False)
    known = with_basis(crops, range(N), 32, lambda index, boxes: patches(index, *EQUAL))
    (one, _), (other, _) = (run(RedundancyMetric(FEW_DRAWS), *parts) for parts in (plain, known))
    assert {key: score.value for key, score in one.items()} == {key: score.value for key, score in other.items()}
    assert not any("pooled" in score.flags or "grid" in score.detail for score in other.values())
    for key, array in fit(RedundancyMetric(), plain[0]).items():
        np.testing.assert_array_equal(array, fit(RedundancyMetric(), known[0])[key])


def test_without_boxes_the_most_frequent_count_is_measured_and_the_reason_is_told() -> None:
    found, indices = run(RedundancyMetric(FEW_DRAWS), *with_basis(SETS["more tokens"][:2], range(N), 32, placed=False))
    assert len(indices) == N / 2
    assert "one_token_count" in found["rs"].flags
    assert found["rs"].detail["no_grid"] == "the tokens of 150 of the first 150 images have no boxes that fill a grid"
    assert found["rs"].detail["first_images_by_token_count"] == {"16": 75, "64": 75}


ODD = [Grid(1, 1), Grid(1, 7), Grid(37, 3)]


def test_few_odd_sizes_are_left_out_and_the_others_measured() -> None:
    layouts = [*SETS["turned"] * 30, *(grid.boxes() for grid in ODD)]
    basis, parts = with_basis(layouts, range(126), 16)
    found, indices = run(RedundancyMetric(FEW_DRAWS), basis, parts)
    assert found["rs"].detail["grid"] == [4, 4]
    assert set(range(126)) - set(indices) == {60, 61, 62, 123, 124, 125}
    metric = RedundancyMetric()
    fit(metric, basis)
    odd = next(batch for batch in parts if batch.samples[0].index == 60)
    with pytest.raises(SampleError, match="no boxes, or are coarser than the grid of 4 x 4 cells that the first"):
        metric.observe(odd)


@pytest.mark.parametrize("grids", [ODD, [Grid(1, 1), Grid(1, 2)], [Grid(1, 7), Grid(1, 9)], [Grid(37, 3), Grid(3, 37)]])
def test_sizes_that_nobody_would_give(grids: Sequence[Grid]) -> None:
    """They have a score, or say why not."""
    found, indices = run(RedundancyMetric(FEW_DRAWS), *with_basis([grid.boxes() for grid in grids], range(60), 8))
    for score in found.values():
        told = score.detail
        assert "few_images" in score.flags or score.value is not None
        assert ("grid" in told) != ("no_grid" in told)
    grid = found["rs"].detail.get("grid")
    assert grid == {4: None, 2: None}.get(len(grids)) or grid in ([1, 7], [3, 3])
    assert len(indices) == 60 if grid else len(indices) < 60


def test_two_samples_only() -> None:
    found, indices = run(RedundancyMetric(FEW_DRAWS), *with_basis(SETS["turned"], range(2), 2))
    assert indices == [0, 1]
    assert found["rs"].value is None
    assert "few_images" in found["rs"].flags
    assert found["rs"].detail["grid"] == [4, 4]


def test_a_layer_without_boxes_is_left_out_where_the_main_one_has_them() -> None:
    def with_encoder(batch: Batch) -> Batch:
        encoder = replace(batch.visual["connector"], layer="encoder", boxes=None)
        return replace(batch, visual={**batch.visual, "encoder": encoder})

    basis, parts = ([with_encoder(b) for b in part] for part in with_basis(SETS["more tokens"], range(N), 32))
    found, indices = run(LayersMetric(FEW_DRAWS), basis, parts)
    assert set(found) == {"rs_connector", "discarded_connector"}
    assert len(indices) == N
    assert found["rs_connector"].value == scores(RedundancyMetric, "more tokens", "patches", N)["rs"].value
    told = found["rs_connector"].detail["layers_without_grid"]["encoder"]
    assert told == "the tokens of 150 of the first 150 images have no boxes that fill a grid"


def test_a_layer_of_one_count_stays_as_it_is_beside_one_that_is_pooled() -> None:
    def with_queries(batch: Batch) -> Batch:
        many = batch.visual["connector"]
        queries = np.stack([patches(sample.index, *EQUAL) for sample in batch.samples]).astype(np.float32)
        return replace(
            batch, visual={"connector": VisualTokens("connector", queries), "encoder": replace(many, layer="encoder")}
        )

    basis, parts = ([with_queries(b) for b in part] for part in with_basis(SETS["more tokens"], range(N), 32))
    found, _ = run(LayersMetric(FEW_DRAWS), basis, parts)
    assert found["rs_encoder"].detail["grid"] == [4, 4]
    assert "grid" not in found["rs_connector"].detail
    assert "pooled" not in found["rs_connector"].flags
    assert found["rs_connector"].detail["N"] == 16


def test_what_is_stored_is_enough(tmp_path) -> None:
    basis, parts = with_basis(SETS["more tokens"], range(64), 32)
    first, second = RedundancyMetric(), RedundancyMetric()
    np.savez(tmp_path / "basis.npz", **fit(first, basis))
    assert not first.fit_again(), "a third round makes no sense"
    with np.load(tmp_path / "basis.npz", allow_pickle=False) as stored:
        second.load_state(dict(stored))
    for batch in parts:
        for one, other in zip(first.observe(batch), second.observe(batch), strict=True):
            assert {k: v.tolist() for k, v in one.items()} == {k: v.tolist() for k, v in other.items()}
    assert second.facts("connector") == first.facts("connector")
    assert second.facts("connector")["grid"] == [4, 4]


def test_a_run_begun_before_tokens_were_pooled_still_says_that_it_is_of_one_count() -> None:
    basis, parts = with_basis(SETS["more tokens"][:2], range(N), 32, placed=False)
    state = fit(RedundancyMetric(), basis)
    before = {key: value for key, value in state.items() if "grid" not in key}
    metric = RedundancyMetric()
    metric.load_state(before)
    (batch,) = (batch for batch in parts[:2] if batch.visual["connector"].tokens.shape[1] == state["count/connector"])
    score = metric.compute([record(s.index) for s in batch.samples], metric.observe(batch))["rs"]
    assert "one_token_count" in score.flags
    assert score.detail["first_images_by_token_count"] == {"16": 75, "64": 75}
    assert score.detail["no_grid"] == "the run was begun before tokens were pooled"
