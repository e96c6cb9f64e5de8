"""Token budgets in the families: which take one, and that the decoder reads what it leaves, where it stood."""

from __future__ import annotations

import plain
import pytest
import tiny_models
import torch

from vtbench.budget import checked_weights, parse_budget
from vtbench.types import VisualTokens

BUDGETED = {"fuyu", "idefics3", "internvl", "llava_next", "llava_onevision", "smolvlm"}
"""Whose visual tokens stand in the prompt of a plain causal decoder."""


@pytest.fixture
def frugal(family):
    if "budget" not in family.adapter.capabilities:
        pytest.skip("it takes no token budget")
    return family


def test_those_take_a_budget_whose_decoder_is_plain_and_reads_visual_tokens(family):
    assert ("budget" in family.adapter.capabilities) == (family.name.partition(",")[0] in BUDGETED)


@pytest.mark.parametrize("text", ["random:f=1", "grid:f=1", "downsample:f=1"])
def test_a_budget_that_keeps_every_token_is_none(frugal, text):
    samples = tiny_models.batch()
    assert frugal.adapter.generate(samples, 7, parse_budget(text)) == frugal.adapter.generate(samples, 7)


def test_likelihoods_are_those_of_plain_transformers_without_the_dropped_embeddings(frugal):
    """The full prompt's embeddings are taken where the language model is given them; the marks of rows stay."""
    model, budget = frugal.model, parse_budget("random:f=0.5")
    language = getattr(model.model, "language_model", None) or model.model.text_model
    samples = tiny_models.batch()
    for sample, ranked in zip(samples, frugal.adapter.rank(samples, budget), strict=True):
        given = []
        hook = language.register_forward_pre_hook(
            lambda _, a, kw, to=given: to.append(kw["inputs_embeds"]), with_kwargs=True
        )
        inputs = plain.processed(frugal.name, frugal.processor, [sample])
        with torch.no_grad():
            model(**inputs)
        hook.remove()
        embeds_PD, ids_P = given[0][0], inputs["input_ids"][0]
        mark = getattr(model.model, "image_newline", None)
        is_mark_P = (embeds_PD == mark).all(-1) if mark is not None else torch.zeros_like(ids_P, dtype=torch.bool)
        places = ((ids_P == model.config.image_token_id) & ~is_mark_P).nonzero()[:, 0]
        tokens = VisualTokens("connector", embeds_PD[places][None])
        kept = checked_weights(budget, tokens, [sample.id])[0].argmax(1)
        assert ranked.visual_tokens_in == len(kept) == round(len(places) / 2)
        left_P = torch.ones_like(ids_P, dtype=torch.bool)
        left_P[places] = False
        left_P[places[kept]] = True
        for choice, logprob in zip(sample.choices, ranked.logprobs, strict=True):
            added = torch.tensor(frugal.adapter._choice_tokens(ids_P[-8:].tolist(), choice))
            positions = torch.cat([left_P.nonzero()[:, 0], len(ids_P) + torch.arange(len(added))])
            with torch.no_grad():
                embeds = torch.cat([embeds_PD[left_P], model.get_input_embeddings()(added)])[None]
                logits = model(inputs_embeds=embeds, position_ids=positions[None]).logits[0, -len(added) - 1 : -1]
            expected = logits.double().log_softmax(-1).gather(1, added[:, None]).sum().item()
            assert logprob == pytest.approx(expected, abs=1e-4)
