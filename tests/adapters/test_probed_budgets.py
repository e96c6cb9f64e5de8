"""Token budgets of any checkpoint: keeping all changes nothing, and a dropped token is as if it were masked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import probed
import pytest
import torch

from vtbench.adapter import IGNORE_INDEX
from vtbench.errors import AdapterError
from vtbench.testing.example_budgets import Halves, KeepAll
from vtbench_hf import generation
from vtbench_hf.entry.decoder_call import intercepted
from vtbench_hf.probed_adapter import ProbedAdapter
from vtbench_hf.prompts import prompt_images


class KeepSome:
    """Keeps tokens 0, 2, 4, ..., of which the last ones are asked for first."""

    name = "every other token"

    def weights(self, visual, keys):
        return [np.eye(visual.tokens.shape[1], dtype=np.float32)[::2][::-1]] * len(keys)


@pytest.fixture(params=probed.CAUSAL)
def made(request) -> ProbedAdapter:
    return probed.adapter(request.param)


def test_keeping_every_token_changes_nothing(made):
    asked = probed.samples(made)
    whole, kept = made.rank(asked), made.rank(asked, KeepAll())
    np.testing.assert_allclose(probed.logprobs(kept), probed.logprobs(whole), atol=2e-6)
    assert [(o.tokens_in, o.visual_tokens_in) for o in kept] == [(o.tokens_in, o.visual_tokens_in) for o in whole]
    said = made.generate(asked, 5)
    assert [o.text for o in made.generate(asked, 5, KeepAll())] == [o.text for o in said]
    assert all(o.prefill_seconds > 0 and o.decode_seconds >= 0 for o in said)


def test_fewer_tokens_are_read_and_the_batch_does_not_matter(made):
    asked = probed.samples(made)
    whole, some = made.rank(asked), made.rank(asked, KeepSome())
    for before, after in zip(whole, some, strict=True):
        left = -(-before.visual_tokens_in // 2)
        assert after.visual_tokens_in == left
        assert after.tokens_in == before.tokens_in - before.visual_tokens_in + left
    assert np.abs(probed.logprobs(some) - probed.logprobs(whole)).max() > 1e-3
    alone = [made.rank([sample], KeepSome())[0] for sample in asked]
    np.testing.assert_allclose(probed.logprobs(some), probed.logprobs(alone), atol=5e-6)
    np.testing.assert_allclose(probed.logprobs(made.rank(asked)), probed.logprobs(whole), atol=2e-6)


def _masked(made: ProbedAdapter, sample, dropped: torch.Tensor) -> list[float]:
    """Return the choices' log-probabilities of `generate` when the decoder's attention mask hides some tokens."""
    inputs = made.model_inputs([sample])
    mask = inputs["attention_mask"].clone()
    mask[:, dropped] = 0

    def hide(value):
        if not torch.is_tensor(value):
            return value
        hidden = value.clone()
        hidden[..., dropped] = False if value.dtype == torch.bool else torch.finfo(value.dtype).min
        return hidden

    def handle(forward, arguments):
        nonlocal mask
        given = arguments.get("attention_mask")
        embeds = arguments.get("inputs_embeds")
        if embeds is not None and embeds.shape[1] > 1:
            mask = mask[:, : inputs["input_ids"].shape[1]]
            four = given if isinstance(given, dict) else {"one": given}
            if any(torch.is_tensor(value) and value.ndim == 4 for value in four.values()):
                cut = {name: hide(value) for name, value in four.items()}
                return forward(**arguments | {"attention_mask": cut if isinstance(given, dict) else cut["one"]})
        else:
            mask = torch.cat([mask, mask.new_ones(1, 1)], 1)
        return forward(**arguments | {"attention_mask": mask})

    ids = [[made.choice_tokenizer(inputs["input_ids"][0].tolist(), choice) for choice in sample.choices]]
    with torch.no_grad(), intercepted(made.decoder, handle):
        return generation.score(made.model, inputs, ids)[0]


@pytest.mark.parametrize("model_type", [t for t in probed.CAUSAL if t not in (*probed.STATEFUL, *probed.WINDOWED)])
def test_a_dropped_token_is_as_if_masked(model_type):
    made = probed.adapter(model_type)
    (sample,) = probed.samples(made)[:1]
    with made.batch([sample]):
        visual = made.visual_token_mask(made.batch_inputs([sample]))[0].nonzero()[:, 0]
    (cut,) = made.rank([sample], KeepSome())
    np.testing.assert_allclose(cut.logprobs, _masked(made, sample, visual[1::2]), atol=5e-6)


class Twins:
    """Makes the same token two or three times, from one place."""

    name = "twins"

    def __init__(self, *counts: int) -> None:
        self.counts = counts

    def weights(self, visual, keys):
        made = np.zeros(visual.tokens.shape[1], dtype=np.float32)
        made[:2] = 0.6, 0.4
        return [np.stack([made] * count) for count in self.counts]


@pytest.mark.parametrize("model_type", ["gemma3", "gemma4", "molmo2", "qwen2_5_vl"])
def test_tokens_that_were_made_at_one_place_do_not_depend_on_the_batch(model_type):
    made = probed.adapter(model_type)
    asked = probed.samples(made)
    together = made.rank(asked, Twins(2, 3))
    assert [output.visual_tokens_in for output in together] == [2, 3]
    for sample, output, count in zip(asked, together, (2, 3), strict=True):
        np.testing.assert_allclose(made.rank([sample], Twins(count))[0].logprobs, output.logprobs, atol=5e-6)


@pytest.mark.parametrize("model_type", ["gemma3", "gemma4", "molmo2", "qwen2_5_vl"])
def test_prompts_of_one_length_may_become_unequally_long(model_type):
    made = probed.adapter(model_type)
    asked = [replace(sample, prompt="What is red?") for sample in probed.samples(made)]

    class Uneven:
        name = "one and three"

        def weights(self, visual, keys):
            counts = [1 if key == "q0" else 3 for key in keys]
            return [np.eye(visual.tokens.shape[1], dtype=np.float32)[:count] for count in counts]

    together = made.rank(asked, Uneven())
    assert together[0].tokens_in != together[1].tokens_in
    alone = [made.rank([sample], Uneven())[0] for sample in asked]
    np.testing.assert_allclose(probed.logprobs(together), probed.logprobs(alone), atol=5e-6)


def test_merged_tokens_are_their_mean(made):
    asked = probed.samples(made)
    two = made.rank(asked, Halves())
    assert [o.visual_tokens_in for o in two] == [2, 2]
    assert np.isfinite(probed.logprobs(two)).all()
    assert np.abs(probed.logprobs(two) - probed.logprobs(made.rank(asked))).max() > 1e-3


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "granite4_vision", "gemma3"])
def test_training_under_a_budget_that_keeps_all_is_training(model_type):
    made = probed.adapter(model_type)
    asked = probed.samples(made)
    made.cache.clear()
    batch = made.encode_training(asked)
    targets = batch.pop("targets")
    tokens = made.connector_tokens(batch)
    assert tokens.requires_grad
    weights = [np.eye(tokens.shape[1], dtype=np.float32)] * len(asked)
    whole = made.answer_logits(batch, targets)
    kept = made.budgeted_answer_logits(batch, targets, tokens, weights)
    assert kept.shape == whole.shape == (int((targets != IGNORE_INDEX).sum()), whole.shape[1])
    torch.testing.assert_close(kept, whole, atol=1e-5, rtol=1e-5)
    fewer = made.budgeted_answer_logits(batch, targets, tokens, [some[::2] for some in weights])
    assert (fewer - whole).abs().max() > 1e-4
    made.forget()


@pytest.mark.parametrize("model_type", probed.TYPES)
def test_a_training_step_reaches_every_part(model_type):
    made = probed.adapter(model_type)
    made.cache.clear()
    batch = made.encode_training(probed.samples(made))
    targets = batch.pop("targets")
    loss = made.answer_logits(batch, targets).float().log_softmax(-1).square().mean()
    made.model.zero_grad()
    loss.backward()
    named = dict(made.model.named_parameters())
    owners = {name: [part for part, prefixes in made.parts.items() if _in(name, prefixes)] for name in named}
    assert all(len(parts) == 1 for parts in owners.values()), owners
    for part in ("vision", "connector", "text"):
        grads = [named[name].grad for name, (own,) in owners.items() if own == part]
        assert any(grad is not None and grad.abs().max() > 0 for grad in grads), part
    made.model.zero_grad()
    made.forget()


def _in(name: str, prefixes) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def test_a_budget_takes_bare_questions():
    made = probed.adapter("qwen2_5_vl")
    (sample,) = probed.samples(made)[:1]
    from dataclasses import replace

    with pytest.raises(AdapterError, match="bare questions"):
        made.rank([replace(sample, system="Be brief.")], KeepAll())
    assert len(prompt_images(sample)) == 1
