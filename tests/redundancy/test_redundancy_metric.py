"""The metric in a run: batches, resume, pictures, what it says of too few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

import vtbench_redundancy
from vtbench.errors import SampleError, VtbenchError
from vtbench.metric import Batch, VisualMetric
from vtbench.types import Output, Record, Sample, VisualTokens
from vtbench_redundancy.basis import BasisFit, Places
from vtbench_redundancy.layout import cut, grid, lay_out
from vtbench_redundancy.metric import RedundancyMetric

torch.set_num_threads(1)
SIDE, COUNT, DIM = 16, 16, 12


def picture(index: int, side: int = SIDE) -> Image.Image:
    cells = np.random.default_rng(index).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.NEAREST)


def sample(index: int, side: int = SIDE) -> Sample:
    return Sample(f"t/test/0/{index}", index, (picture(index, side),), "What?", "yes")


def tokens(index: int) -> np.ndarray:
    """Token i is a linear code of cell i, with a little noise; the second half of the cells repeats the first."""
    cells = np.asarray(picture(index, 4), dtype=np.float32).reshape(16, 3) / 255
    cells[8:] = cells[:8]
    code = np.random.default_rng(0).standard_normal((3, DIM))
    noise = np.random.default_rng(index + 1).standard_normal((COUNT, DIM))
    return (cells @ code + 0.01 * noise).astype(np.float32)


def batches(indices: range, size: int, side: int = SIDE) -> Iterator[Batch]:
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        visual = VisualTokens("connector", np.stack([tokens(i) for i in part]), grid(COUNT))
        yield Batch([sample(i, side) for i in part], [Output()] * len(part), {"connector": visual})


def record(index: int, cluster: str = "", sha: str = "") -> Record:
    return Record("t", f"t/test/0/{index}", index, "What?", "yes", cluster=cluster, image_sha256=(sha,) if sha else ())


def scores(n: int, size: int, fit_size: int = 32) -> dict:
    metric = RedundancyMetric()
    metric.restore(metric.fit(batches(range(min(n, 200)), fit_size)))
    observations = [o for batch in batches(range(n), size) for o in metric.observe(batch)]
    return metric.compute([record(i) for i in range(n)], observations)


@pytest.fixture(scope="module")
def whole() -> dict:
    return scores(400, 32)


def test_registers_without_importing_what_it_wraps() -> None:
    factory = vtbench_redundancy.vtbench_metrics()["redundancy"]
    assert factory.__doc__
    assert isinstance(factory(), VisualMetric)


def test_finds_the_repetition(whole: dict) -> None:
    assert set(whole) == {"rs", "r_pix", "delta_rs", "n_eff", "discarded"}
    assert whole["rs"].value == pytest.approx(0.5, abs=0.02)
    assert whole["r_pix"].value == pytest.approx(0, abs=0.02)
    assert whole["delta_rs"].value == pytest.approx(whole["rs"].value - whole["r_pix"].value)
    assert whole["n_eff"].value == pytest.approx(COUNT * (1 - whole["rs"].value))
    assert whole["rs"].interval[0] < whole["rs"].value < whole["rs"].interval[1]
    assert not any(score.percent for score in whole.values())
    facts = whole["rs"].detail
    assert (facts["m"], facts["N"], facts["d"], facts["n"], facts["r"]) == (16, 16, DIM, 400, 8)
    assert (facts["layer"], facts["protocol"], facts["floor"]) == ("connector", "rs-v1", 0.01)


def test_batch_size_changes_rounding_only(whole: dict) -> None:
    other = scores(400, 7, fit_size=9)
    for name, score in whole.items():
        assert other[name].value == pytest.approx(score.value, abs=1e-5)
        assert other[name].stderr == pytest.approx(score.stderr, abs=1e-5)


def test_a_resumed_run_gives_the_same_numbers(tmp_path, whole: dict) -> None:
    first = RedundancyMetric()
    np.savez(tmp_path / "basis.npz", **first.fit(batches(range(200), 32)))
    basis = dict(np.load(tmp_path / "basis.npz"))
    first.restore(basis)
    observations = [o for batch in batches(range(192), 32) for o in first.observe(batch)]
    second = RedundancyMetric()
    second.restore(basis)
    observations += [o for batch in batches(range(192, 400), 32) for o in second.observe(batch)]
    assert second.compute([record(i) for i in range(400)], observations) == whole
    assert all(array.dtype == np.float32 for o in observations for array in o.values())


def test_pictures_of_another_size_are_brought_to_that_of_the_first() -> None:
    metric = RedundancyMetric()
    metric.restore(metric.fit(batches(range(64), 32)))
    small = next(iter(batches(range(4), 4)))
    large = next(iter(batches(range(4), 4, side=3 * SIDE)))
    assert metric.observe(large)[0]["pixels"].shape == metric.observe(small)[0]["pixels"].shape


def test_few_samples_are_flagged_not_a_crash() -> None:
    for n in (0, 1, 49):
        metric = RedundancyMetric()
        metric.restore(metric.fit(batches(range(20), 8)))
        observations = [o for batch in batches(range(n), 16) for o in metric.observe(batch)]
        found = metric.compute([record(i) for i in range(n)], observations)
        assert [score.value for score in found.values()] == [None] * 5
        assert found["rs"].flags == ("few_images",)
        assert found["rs"].detail["images_needed"] >= 50


def test_too_few_for_the_protocol_says_how_many_are_needed() -> None:
    found = scores(100, 50)["rs"]
    assert found.value is None
    assert found.flags == ("few_images",)
    assert 300 < found.detail["images_needed"] < 400


def test_questions_about_one_picture_count_once(whole: dict) -> None:
    metric = RedundancyMetric()
    metric.restore(metric.fit(batches(range(200), 32)))
    observations = [o for batch in batches(range(400), 32) for o in metric.observe(batch)]
    doubled = [x for o in observations for x in (o, o)]
    found = metric.compute([record(i, sha=str(i // 2)) for i in range(800)], doubled)
    assert found["rs"].n == 400
    assert found["rs"].value == pytest.approx(whole["rs"].value, abs=0.01)


def test_clusters_stay_together() -> None:
    from vtbench_redundancy.protocol import Protocol
    from vtbench_redundancy.score import _groups

    names = [str(i // 3) for i in range(600)]
    groups = _groups(600, names, Protocol())
    ends = np.cumsum(groups.sizes)
    found = [{names[i] for i in part} for part in np.split(groups.order, ends[:-1])]
    assert sum(len(part) for part in found) == len(set(names))
    assert groups.sizes.max() - groups.sizes.min() <= 3
    assert _groups(600, ["one"] * 600, Protocol()).flags == ("few_clusters",)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_tokens_that_are_not_finite_fail_their_sample(bad: float) -> None:
    metric = RedundancyMetric()
    metric.restore(metric.fit(batches(range(20), 8)))
    batch = next(iter(batches(range(3), 3)))
    batch.visual["connector"].tokens[1, 2, 3:5] = bad
    with pytest.raises(SampleError, match=r"2 values .* t/test/0/1 are NaN or infinite"):
        metric.observe(batch)
    assert metric.fit([batch])["token_axes"].shape == (DIM, 8)
    batch.visual["connector"].tokens[:] = bad
    with pytest.raises(VtbenchError, match="finite"):
        metric.fit([batch])


def test_another_number_of_tokens_fails_its_sample() -> None:
    metric = RedundancyMetric()
    metric.restore(metric.fit(batches(range(20), 8)))
    batch = next(iter(batches(range(2), 2)))
    short = VisualTokens("connector", batch.visual["connector"].tokens[:, :9])
    with pytest.raises(SampleError, match="9 visual tokens where the first samples had 16"):
        metric.observe(Batch(batch.samples, batch.outputs, {"connector": short}))


def test_layout_of_many_tokens_is_stratified() -> None:
    layout = lay_out(576, grid(576), 64, 8, 0)
    assert layout.chosen_Sm.shape == (8, 64)
    boxes = grid(576)[layout.chosen_Sm]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    assert np.all((layout.cells_m4[:, :2] <= centre) & (centre < layout.cells_m4[:, 2:]))
    assert len(np.unique(layout.chosen_Sm[:, 0])) == 8
    assert lay_out(100, None, 64, 8, 0).cells_m4.shape == (64, 4)
    queries = lay_out(70, None, 64, 2, 0).chosen_Sm
    assert all(len(set(row)) == 64 for row in queries.tolist())
    assert lay_out(32, None, 64, 8, 0).cells_m4.shape == (32, 4)


def test_cut_averages_each_cell() -> None:
    image = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert cut(image, grid(4), 1).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert cut(image.to(torch.uint8), grid(64), 2).shape == (1, 64, 4)


def test_basis_of_wide_tokens_finds_the_signal() -> None:
    generator = np.random.default_rng(0)
    signal = generator.standard_normal((300, 4, 2)) @ generator.standard_normal((2, 600))
    wide = torch.as_tensor(100 + signal + 0.01 * generator.standard_normal(signal.shape))
    patches = torch.as_tensor(generator.standard_normal((300, 4, 3)))
    from vtbench_redundancy.protocol import Protocol

    places = Places.of(wide, np.arange(4)[None], patches, patches)
    fit = BasisFit(Protocol(r=2))
    for part in (slice(0, 100), slice(100, 300)):
        fit.update(Places(wide[part], places.where, patches[part], patches[part]))
    found = fit.basis().encode(places)["tokens"][:, 0].reshape(-1, 2)
    found = found - found.mean(axis=0)
    truth = signal.reshape(-1, 600)
    left = truth - found @ np.linalg.lstsq(found, truth, rcond=None)[0]
    assert np.square(left).sum() / np.square(truth).sum() < 0.01
