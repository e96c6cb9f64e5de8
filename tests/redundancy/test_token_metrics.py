"""The suite's other metrics in a run: layers, carriers, use and geometry of tokens whose part is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from image_fakes import COUNT, DIM, OTHERS, batches, observed, ready, record, scores

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.types import VisualTokens
from vtbench_redundancy.metrics.token_metrics import CarriersMetric, GeometryMetric, LayersMetric, TokenUseMetric
from vtbench_redundancy.protocol import Protocol

torch.set_num_threads(1)
N = 1200


def few_draws() -> LayersMetric:
    """Of 1,200 images, two draws of the noise and of the null differ by less than any tolerance here."""
    return LayersMetric(Protocol(permutations=2))


def test_each_layer_has_its_own_score() -> None:
    """The encoder tells every cell once, the connector half of them twice, the decoder a quarter four times."""
    found = scores(few_draws, N, layers=("decoder_50", "encoder", "connector"))
    assert list(found) == [
        f"{name}_{layer}" for layer in ("connector", "encoder", "decoder_50") for name in ("rs", "discarded")
    ]
    for layer, rs in [("encoder", 0), ("connector", 0.5), ("decoder_50", 0.75)]:
        assert found[f"rs_{layer}"].value == pytest.approx(rs, abs=0.02)
        facts = found[f"rs_{layer}"].detail
        assert (facts["layer"], facts["N"], facts["d"]) == (layer, COUNT, DIM)
    left = [1 - found[f"discarded_{layer}"].value for layer in ("encoder", "connector", "decoder_50")]
    assert left[1:] == pytest.approx([left[0] / 2, left[0] / 4], abs=0.02)  # of what the encoder tells


@pytest.mark.parametrize("layer", ["encoder", "decoder_100"])
def test_a_model_that_shows_one_layer_only(layer: str) -> None:
    found = scores(few_draws, N, layers=(layer,))
    assert set(found) == {f"rs_{layer}", f"discarded_{layer}"}
    assert found[f"rs_{layer}"].value == pytest.approx(0 if layer == "encoder" else 0.75, abs=0.02)


def test_a_layer_that_was_not_there_at_first_fails_its_sample() -> None:
    metric = ready(LayersMetric, 20, 8, layers=("connector",))
    with pytest.raises(SampleError, match="16 visual tokens at encoder where most of the first samples had none"):
        metric.observe(next(batches(range(2), 2, layers=("connector", "encoder"))))


def test_carriers_of_cells_that_are_told_twice_and_not_at_all() -> None:
    found = scores(CarriersMetric, N)
    assert found["carriers"].value == pytest.approx(2, abs=0.1)
    assert found["uncarried"].value == pytest.approx(0.5, abs=0.15)
    assert np.shape(found["carriers"].detail["map"]) == (COUNT, COUNT)


def test_use_of_copies() -> None:
    """The tokens' own noise, of 1 % of their spread, is all that a copy adds: nothing about the image."""
    found = scores(TokenUseMetric, N)
    assert found["dead"].value == 0
    assert found["sink"].value == 0
    assert found["unique"].value <= 2 / COUNT  # by chance
    assert found["unique"].detail["layer"] == "connector"
    alone = scores(TokenUseMetric, N, layers=("connector", "encoder"))
    assert alone == found  # other metrics' layers are passed over


def test_a_loud_token_is_a_sink() -> None:
    metric = TokenUseMetric()
    loud = []
    for batch in batches(range(60), 20):
        batch.visual["connector"].tokens[:, 5] *= 20
        loud.append(batch)
    for batch in batches(range(OTHERS, OTHERS + 60), 20):
        metric.partial_fit(batch)
    metric.load_state(metric.state())
    seen = [o for batch in loud for o in metric.observe(batch)]
    assert seen[0]["norms"].shape == (COUNT,)
    found = metric.compute([record(i) for i in range(60)], seen)
    assert (found["sink"].value, found["sink"].detail["tokens"]) == (1 / COUNT, [5])
    assert "few_images" in found["unique"].flags


def test_geometry_of_tokens_in_three_dimensions() -> None:
    """16 tokens are a linear code of three colour channels: under 3 directions of the 7 or so that random ones have."""
    found = scores(GeometryMetric, 60)
    assert found["effective_rank_rel"].detail["raw"] < 4.5
    assert found["participation_rel"].detail["raw"] < 3.1
    assert found["effective_rank_rel"].detail["N"] == COUNT
    assert found["participation_rel"].value < 0.5


def test_geometry_refuses_other_widths_and_values_that_are_not_finite() -> None:
    metric = ready(GeometryMetric, 8, 4)
    batch = next(batches(range(3), 3))
    short = VisualTokens("connector", batch.visual["connector"].tokens[:, :, :9])
    with pytest.raises(SampleError, match=r"visual tokens \(16, 9\) where the first had \(16, 12\)"):
        metric.observe(Batch(batch.samples, batch.outputs, {"connector": short}))
    batch.visual["connector"].tokens[1, 2, 3] = np.nan
    with pytest.raises(SampleError, match=r"the visual tokens of t/test/0/1 have values that are NaN or infinite"):
        metric.observe(batch)


@pytest.mark.parametrize("make", [LayersMetric, CarriersMetric, TokenUseMetric, GeometryMetric])
def test_few_samples_are_flagged_not_a_crash(make: type) -> None:
    metric = ready(make, 20, 8)
    for n in (0, 1, 49):
        found = metric.compute([record(i) for i in range(n)], observed(metric, n, 16))
        assert {score.value for score in found.values()} == {None}
        assert all("few_images" in score.flags for score in found.values())


@pytest.mark.parametrize("make", [LayersMetric, CarriersMetric, TokenUseMetric, GeometryMetric])
def test_batch_size_changes_rounding_only(make: type) -> None:
    one, other = scores(make, 120), scores(make, 120, 7, fit_size=9)
    for name, score in one.items():
        assert (score.value is None) == (other[name].value is None)
        if score.value is not None:
            assert other[name].value == pytest.approx(score.value, abs=1e-4)
