"""Token budgets in the families: which take one, and that the decoder reads the remaining tokens at their positions."""

from __future__ import annotations

import plain
import pytest
import tiny_models
import torch

from vtbench.budget import checked_weights
from vtbench.registry import Registry
from vtbench.types import VisualTokens

WITHOUT = {"blip-2, t5", "idefics", "mllama", "paligemma"}
"""Families whose visual tokens are in no prompt, or in one that no causal decoder reads."""


with_budget = pytest.mark.parametrize(
    "family", [name for name in tiny_models.ADAPTED_FAMILIES if name not in WITHOUT], indirect=True
)


def test_those_take_a_budget_whose_decoder_is_causal_and_reads_visual_tokens(family):
    assert ("budget" in family.adapter.capabilities) == (family.name not in WITHOUT)


@with_budget
@pytest.mark.parametrize("text", ["random:f=1", "grid:f=1", "downsample:f=1"])
def test_a_budget_that_keeps_every_token_is_none(family, text):
    samples = tiny_models.batch()
    assert family.adapter.generate(samples, 7, Registry().budget(text)) == family.adapter.generate(samples, 7)


@with_budget
def test_likelihoods_are_those_of_plain_transformers_without_the_dropped_embeddings(family):
    """Embeddings and positions are taken where the language model is given the full prompt; the marks of rows stay."""
    model, budget = family.model, Registry().budget("random:f=0.5")
    reader = model.language_model if family.name == "blip-2" else model  # BLIP-2 itself reads nothing without pixels
    inner = getattr(model, "model", model)
    language = getattr(inner, "language_model", None) or inner.text_model
    samples = tiny_models.batch()
    for sample, ranked in zip(samples, family.adapter.rank(samples, budget), strict=True):
        given = []
        hook = language.register_forward_pre_hook(lambda _, a, kw, to=given: to.append(kw), with_kwargs=True)
        inputs = plain.processed(family.name, family.processor, [sample])
        with torch.no_grad():
            model(**inputs)
        hook.remove()
        embeds_PD, ids_P = given[0]["inputs_embeds"][0], inputs["input_ids"][0]
        positions_XP = given[0].get("position_ids")
        positions_XP = (torch.arange(len(ids_P)) if positions_XP is None else positions_XP).reshape(-1, len(ids_P))
        mark = getattr(inner, "image_newline", None)
        is_mark_P = (embeds_PD == mark).all(-1) if mark is not None else torch.zeros_like(ids_P, dtype=torch.bool)
        places = ((ids_P == model.config.image_token_id) & ~is_mark_P).nonzero()[:, 0]
        tokens = VisualTokens("connector", embeds_PD[places][None])
        kept = checked_weights(budget, tokens, [sample.id])[0].argmax(1)
        assert ranked.visual_tokens_in == len(kept) == round(len(places) / 2)
        left_P = torch.ones_like(ids_P, dtype=torch.bool)
        left_P[places] = False
        left_P[places[kept]] = True
        for choice, logprob in zip(sample.choices, ranked.logprobs, strict=True):
            added = torch.tensor(family.adapter.choice_tokenizer(ids_P[-8:].tolist(), choice))
            after_XT = (positions_XP.max() + 1 + torch.arange(len(added))).expand(len(positions_XP), -1)
            positions = torch.cat([positions_XP[:, left_P], after_XT], 1)
            positions = positions[:, None] if len(positions) > 1 else positions
            with torch.no_grad():
                embeds = torch.cat([embeds_PD[left_P], model.get_input_embeddings()(added)])[None]
                logits = reader(inputs_embeds=embeds, position_ids=positions).logits[0, -len(added) - 1 : -1]
            expected = logits.double().log_softmax(-1).gather(1, added[:, None]).sum().item()
            assert logprob == pytest.approx(expected, abs=1e-4)
