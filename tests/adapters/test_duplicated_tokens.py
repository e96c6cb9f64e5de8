"""The control `duplicated`: its dose is what it says, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch

from vtbench.errors import AdapterError, SampleError
from vtbench_budgets import GridKeep, TokenCount
from vtbench_llava import duplicated_tokens
from vtbench_llava.adapter import LlavaAdapter
from vtbench_llava.duplicated_tokens import Dose, DuplicatedLlava


def dosed(**dose) -> DuplicatedLlava:
    return DuplicatedLlava(tiny_models.loaded("llava"), Dose(**dose))


@pytest.fixture(scope="module")
def plain() -> LlavaAdapter:
    return LlavaAdapter(tiny_models.loaded("llava"))


def scores(adapter, samples, budget=None) -> np.ndarray:
    return np.concatenate([output.logprobs for output in adapter.rank(samples, budget)])


def tokens(adapter, samples) -> torch.Tensor:
    (visual,) = adapter.visual_tokens(samples, ["connector"])
    return torch.as_tensor(visual.tokens)


def test_no_dose_changes_nothing(plain):
    samples = tiny_models.batch()
    np.testing.assert_allclose(scores(dosed(), samples), scores(plain, samples), atol=1e-5)


def test_kept_tokens_are_those_of_a_grid_at_their_own_places(plain):
    samples, adapter = tiny_models.batch(), dosed(tokens=4)
    grid = scores(plain, samples, GridKeep(TokenCount(count=4)))
    np.testing.assert_allclose(scores(adapter, samples), grid, atol=1e-5)
    assert np.abs(grid - scores(plain, samples)).max() > 1e-4, "else the test shows nothing"


def test_copies_stand_side_by_side_with_one_box_and_one_position(plain):
    samples, adapter = tiny_models.batch(), dosed(tokens=4, copies=3)
    (visual,) = adapter.visual_tokens(samples, ["connector"])
    of_four = tokens(dosed(tokens=4), samples)
    assert torch.equal(torch.as_tensor(visual.tokens), of_four.repeat_interleave(3, dim=1))
    assert visual.boxes.shape == (12, 4)
    assert len(np.unique(visual.boxes, axis=0)) == 4
    with adapter.batch(samples):
        inputs = adapter.batch_inputs(samples)
        places = adapter.position_ids(inputs)[0][adapter.visual_token_mask(inputs)[0]]
        last = int(adapter.position_ids(inputs)[0].max())
    assert len(places.unique()) == 4
    with plain.batch(samples):
        assert last == int(plain.position_ids(plain.batch_inputs(samples))[0].max()), "text stays where it was"
    outputs = adapter.generate(samples, 2)
    assert {output.visual_tokens_in for output in outputs} == {12}


def test_a_budget_thins_the_copies(plain):
    samples, adapter = tiny_models.batch(), dosed(tokens=4, copies=3)
    outputs = adapter.rank(samples, GridKeep(TokenCount(count=5)))
    assert {output.visual_tokens_in for output in outputs} == {5}
    none = GridKeep(TokenCount(count=0))
    np.testing.assert_allclose(scores(adapter, samples, none), scores(plain, samples, none), atol=1e-5)


def test_noise_has_the_tokens_own_covariance_and_depends_on_the_image_alone(monkeypatch):
    monkeypatch.setattr(duplicated_tokens, "NOISE_IMAGES", 50)
    samples, adapter = tiny_models.batch(), dosed(tokens=2, copies=400, noise=4.0)
    of_batch = tokens(adapter, samples)
    assert torch.allclose(tokens(adapter, samples[1:2]), of_batch[1:2], atol=1e-5)
    noise_nd = (of_batch - tokens(dosed(tokens=2), samples).repeat_interleave(400, dim=1))[:, :400].flatten(0, 1)
    wanted_dd = 4 * adapter._deviations_Snd[0].T @ adapter._deviations_Snd[0] / 50
    found_dd = noise_nd.T @ noise_nd / len(noise_nd)
    assert torch.linalg.norm(found_dd - wanted_dd) < 0.2 * torch.linalg.norm(wanted_dd)


@pytest.mark.parametrize("dose", [{"tokens": 0}, {"copies": 1.5}, {"noise": -1}, {"noise": float("nan")}])
def test_bad_doses_are_refused(dose):
    with pytest.raises(AdapterError, match=f"duplicated: {next(iter(dose))} must be"):
        Dose(**dose)


def test_more_tokens_than_there_are():
    with pytest.raises(AdapterError, match="tokens=1000, but an image has"):
        dosed(tokens=1000).rank(tiny_models.batch())


def test_a_question_without_an_image_is_refused():
    sample = tiny_models.batch()[0]
    with pytest.raises(SampleError, match="one image"):
        dosed(copies=2).rank([replace(sample, images=())])
