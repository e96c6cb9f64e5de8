"""The redundancy metric in a run: batches, resume, images, what it says of few."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from image_fakes import COUNT, DIM, OTHERS, SIDE, batches, observed, ready, record, scores

import vtbench_redundancy
from vtbench.errors import SampleError, VtbenchError
from vtbench.metric import Batch, VisualMetric
from vtbench.types import Observation, VisualTokens
from vtbench_redundancy.metrics.token_metrics import RedundancyMetric
from vtbench_redundancy.protocol import Protocol, custom_protocol

torch.set_num_threads(1)
IMAGES = 1200
"""Of 320 dimensions; tokens with so little noise of their own are biased below three images a dimension."""


def few_draws() -> RedundancyMetric:
    """Nothing here is about the draws of the noise and of the null, which take most of the time."""
    return RedundancyMetric(Protocol(permutations=2))


@pytest.fixture(scope="module")
def measured() -> tuple[VisualMetric, list[Observation]]:
    """A metric with its basis, and what it observed."""
    metric = ready(few_draws, 200, 32)
    return metric, observed(metric, IMAGES, 32)


@pytest.fixture(scope="module")
def whole(measured) -> dict:
    metric, seen = measured
    return metric.compute([record(i) for i in range(IMAGES)], seen)


@pytest.mark.parametrize("name", ["redundancy", "redundancy_layers", "carriers", "token_use", "geometry"])
def test_registers_without_importing_what_it_wraps(name: str) -> None:
    factory = vtbench_redundancy.vtbench_metrics()[name]
    assert factory.__doc__
    assert isinstance(factory(), VisualMetric)


def test_finds_the_repetition(whole: dict) -> None:
    assert set(whole) == {"rs", "n_eff_16", "discarded"}
    assert whole["rs"].value == pytest.approx(0.5, abs=0.02)
    more = {name: whole["rs"].detail[name]["value"] for name in ("r_pix", "delta_rs", "n_eff")}
    assert more["r_pix"] == pytest.approx(0, abs=0.02)
    assert more["delta_rs"] == pytest.approx(whole["rs"].value - more["r_pix"])
    assert more["n_eff"] == whole["n_eff_16"].value == pytest.approx(COUNT * (1 - whole["rs"].value))
    assert whole["discarded"].value == pytest.approx(0.5, abs=0.02)  # half of the cells
    assert whole["rs"].interval[0] < whole["rs"].value < whole["rs"].interval[1]
    assert not any(score.percent for score in whole.values())
    facts = whole["rs"].detail
    assert (facts["m"], facts["N"], facts["d"], facts["n"], facts["r"]) == (16, 16, DIM, IMAGES, DIM)
    assert (facts["layer"], facts["protocol"], facts["basis_n"]) == ("connector", "rs-v2", 200)


def test_batch_size_changes_rounding_only(whole: dict) -> None:
    other = scores(few_draws, IMAGES, 7, fit_size=9)
    for name, score in whole.items():
        size = COUNT if name == "n_eff_16" else 1  # N_eff is COUNT (1 - RS) here
        assert other[name].value == pytest.approx(score.value, abs=1e-5 * size)
        assert other[name].stderr == pytest.approx(score.stderr, abs=1e-5 * size)


def test_a_resumed_run_gives_the_same_numbers(tmp_path, whole: dict) -> None:
    fitted = few_draws()
    for batch in batches(range(OTHERS, OTHERS + 200), 32):
        fitted.partial_fit(batch)
    np.savez(tmp_path / "basis.npz", **fitted.state())
    basis = dict(np.load(tmp_path / "basis.npz"))
    first, second = few_draws(), few_draws()
    first.load_state(basis)
    second.load_state(basis)
    seen = [o for batch in batches(range(192), 32) for o in first.observe(batch)]
    seen += [o for batch in batches(range(192, IMAGES), 32) for o in second.observe(batch)]
    assert second.compute([record(i) for i in range(IMAGES)], seen) == whole
    assert {name: array.shape for name, array in seen[0].items()} == {
        "tokens/connector": (1, COUNT, DIM),
        "patches": (COUNT, 16),
        "pixels": (64, 3),
    }
    assert all(array.dtype == np.float32 for o in seen for array in o.values())


def test_images_of_another_size_are_brought_to_that_of_the_first() -> None:
    metric = ready(RedundancyMetric, 64, 32)
    (small,), (large,) = (metric.observe(next(batches(range(1), 1, side=side))) for side in (SIDE, 3 * SIDE))
    assert large["pixels"].shape == small["pixels"].shape
    closeness = np.corrcoef(large["pixels"].ravel(), small["pixels"].ravel())[0, 1]
    assert closeness > 0.99  # the same image, up to resampling


def test_few_samples_are_flagged_not_a_crash() -> None:
    metric = ready(RedundancyMetric, 20, 8)
    for n in (0, 1, 49):
        found = metric.compute([record(i) for i in range(n)], observed(metric, n, 16))
        assert [score.value for score in found.values()] == [None] * 3
        assert found["rs"].flags == ("few_images",)
        assert found["rs"].detail["images_needed"] >= 50


@pytest.mark.parametrize("n", [60, 100])
def test_too_few_for_the_protocol_measure_less_and_say_so(n: int) -> None:
    found = scores(RedundancyMetric, n)["rs"]
    assert found.value is not None
    assert set(found.flags) >= {"few_images", "reduced"}
    assert found.detail["m"] == COUNT  # the last to give way
    assert found.detail["r"] < DIM
    assert found.detail["r_x"] <= 64
    assert found.detail["images_needed"] == 854  # for 16 x 12 and 192 dimensions


def test_questions_about_one_image_count_once(measured, whole: dict) -> None:
    metric, seen = measured
    doubled = [x for o in seen for x in (o, o)]
    found = metric.compute([record(i, sha=str(i // 2)) for i in range(2 * IMAGES)], doubled)
    assert found["rs"].n == IMAGES
    assert found["rs"].value == pytest.approx(whole["rs"].value, abs=0.01)


def test_clusters_of_the_records_reach_the_interval(measured, whole: dict) -> None:
    metric, seen = measured
    paired = metric.compute([record(i, cluster=str(i // 2)) for i in range(IMAGES)], seen)
    assert paired["rs"].value == pytest.approx(whole["rs"].value, abs=0.01)
    assert paired["rs"].stderr != whole["rs"].stderr
    one = metric.compute([record(i, cluster="one") for i in range(IMAGES)], seen)
    assert "few_clusters" in one["rs"].flags


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_tokens_that_are_not_finite_fail_their_sample(bad: float) -> None:
    metric = ready(RedundancyMetric, 20, 8)
    batch = next(batches(range(3), 3))
    batch.visual["connector"].tokens[1, 2, 3:5] = bad
    with pytest.raises(SampleError, match=r"2 values .* t/test/0/1 at connector are NaN or infinite"):
        metric.observe(batch)
    first = RedundancyMetric()
    first.partial_fit(batch)
    assert all(np.isfinite(array).all() for array in first.state().values() if array.dtype.kind != "U")
    batch.visual["connector"].tokens[:] = bad
    first = RedundancyMetric()
    first.partial_fit(batch)
    with pytest.raises(VtbenchError, match="finite"):
        first.state()


def test_another_number_of_tokens_fails_its_sample() -> None:
    metric = ready(RedundancyMetric, 20, 8)
    batch = next(batches(range(2), 2))
    short = VisualTokens("connector", batch.visual["connector"].tokens[:, :9])
    with pytest.raises(SampleError, match="9 visual tokens at connector where most of the first samples had 16"):
        metric.observe(Batch(batch.samples, batch.outputs, {"connector": short}))


def test_images_that_the_basis_was_fitted_on_are_not_scored() -> None:
    """Nor are others of their clusters, or the same image under another name."""
    metric = RedundancyMetric()
    for batch in batches(range(100), 32):
        metric.partial_fit(batch)
    metric.load_state(metric.state())
    seen = observed(metric, 400, 32)
    assert [i for i, observation in enumerate(seen) if "basis" in observation] == list(range(100))
    pairs = [record(i, cluster=str((i + 1) // 2), sha=str(i)) for i in range(400)]  # 99 and 100 share a scene
    found = metric.compute(pairs, seen)["rs"]
    assert (found.n, found.detail["basis_n"]) == (299, 100)


def test_a_basis_of_before_continues_under_its_protocol() -> None:
    older = RedundancyMetric(custom_protocol({"protocol": "rs-v1", "r": 4}))
    for batch in batches(range(100), 32):
        older.partial_fit(batch)
    state = {key: value for key, value in older.state().items() if key not in ("protocol", "basis_n")}
    metric = RedundancyMetric(custom_protocol({"r": 4}))
    metric.load_state(state)
    assert metric.protocol.name == "rs-v1 r=4"
    assert metric.compute([record(i) for i in range(400)], observed(metric, 400, 32))["rs"].n == 400
