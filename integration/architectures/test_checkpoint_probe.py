"""The probe finds what is wrong with an adapter: each fault is put into one that passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_checkpoints
import torch
from checkpoint_probe import Probe, Wrong


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tiny_checkpoints.save("llava", tmp_path_factory.mktemp("checkpoint") / "llava")


@pytest.fixture
def probe(directory):
    return Probe("llava", directory)


def test_a_right_adapter_passes(probe):
    columns = [probe.generates(), probe.ranks(), probe.tokens(), probe.layers(), probe.boxes(), probe.budgets()]
    assert columns == ["yes", "yes", "16", "4", "yes", "yes"]
    assert probe.trains() == "yes"


def test_another_answer_is_found(probe, monkeypatch):
    answer = probe.adapter.generate
    monkeypatch.setattr(
        probe.adapter,
        "generate",
        lambda samples, count: [replace(o, text=f"{o.text} x") for o in answer(samples, count)],
    )
    with pytest.raises(Wrong, match="where plain transformers says"):
        probe.generates()


def test_a_log_probability_that_is_off_is_found(probe, monkeypatch):
    rank = probe.adapter.rank

    def off(samples):
        return [replace(o, logprobs=tuple(value - 1e-3 for value in o.logprobs)) for o in rank(samples)]

    monkeypatch.setattr(probe.adapter, "rank", off)
    with pytest.raises(Wrong, match="nats from one forward pass"):
        probe.ranks()


def test_an_image_that_is_not_read_is_found(probe):
    probe.others = probe.samples[:1]
    with pytest.raises(Wrong, match="does not change"):
        probe.ranks()
    with pytest.raises(Wrong, match="does not change"):
        probe.tokens()


def test_a_token_too_many_is_found(probe, monkeypatch):
    see = probe.adapter.visual_tokens

    def with_a_mark(samples, layers):
        return [replace(v, tokens=torch.cat([v.tokens, v.tokens[:, :1]], 1)) for v in see(samples, layers)]

    monkeypatch.setattr(probe.adapter, "visual_tokens", with_a_mark)
    with pytest.raises(Wrong, match="17 of them, where an image changes 16"):
        probe.tokens()
    with pytest.raises(Wrong, match="for 17 tokens"):
        probe.boxes()


def test_a_budget_that_is_ignored_is_found(probe, monkeypatch):
    rank = probe.adapter.rank
    monkeypatch.setattr(probe.adapter, "rank", lambda samples, budget=None: rank(samples))
    with pytest.raises(Wrong, match="changes nothing"):
        probe.budgets()


def test_a_budget_that_moves_the_positions_is_found(probe, monkeypatch):
    rank = probe.adapter.rank
    monkeypatch.setattr(
        probe.adapter,
        "position_ids",
        lambda inputs: torch.arange(inputs["attention_mask"].shape[1])[None],
    )
    assert rank(probe.samples[:1])
    with pytest.raises(Wrong, match="masking what is dropped"):
        probe.budgets()


def test_a_part_without_a_gradient_is_found(probe):
    for weight in probe.adapter.model.get_encoder(modality="image").parameters():
        weight.requires_grad_(False)
    with pytest.raises(Wrong, match="no gradient reaches the part 'vision'"):
        probe.trains()
