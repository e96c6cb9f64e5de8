"""The adapters of transformers' families, on random checkpoints: their outputs are those of plain transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import plain
import pytest
import tiny_models
import torch

from vtbench.errors import SampleError
from vtbench.types import Sample

DECODER = ("decoder_25", "decoder_50", "decoder_75", "decoder_100")
LAYERS = {
    "fuyu": ("connector", *DECODER),
    "idefics": ("connector", "encoder"),
    "mllama": ("connector", "encoder"),
}


def tokens_of(adapter: Any, samples: list[Sample], count: int) -> list[list[int]]:
    with adapter.batch(samples):
        return adapter.generate_tokens(adapter.batch_inputs(samples), count)


def test_it_can_do_what_it_says(family):
    assert family.adapter.capabilities >= {"generate", "rank", "visual_tokens"}
    assert family.adapter.layers == LAYERS.get(family.name, ("connector", "encoder", *DECODER))


def test_greedy_answers_are_those_of_plain_generate_token_for_token(family):
    samples = tiny_models.batch()
    alone = [plain.greedy(family.model, plain.processed(family.name, family.processor, [s]), 7)[0] for s in samples]
    padded = plain.processed(family.name, family.processor, samples)
    assert len({*padded["attention_mask"].sum(1).tolist()}) == 3, "prompts of one length need no padding"
    assert plain.greedy(family.model, padded, 7) == alone
    assert tokens_of(family.adapter, samples, 7) == alone
    assert [tokens_of(family.adapter, [sample], 7)[0] for sample in samples] == alone
    outputs = family.adapter.generate(samples, 7)
    assert [o.text for o in outputs] == [t.strip() for t in family.adapter.tokenizer.batch_decode(alone, True)]
    assert [o.tokens_in for o in outputs] == padded["attention_mask"].sum(1).tolist()
    assert len({tuple(row) for row in alone}) > 1, "a test of one answer shows little"


def test_answers_depend_on_the_image(family):
    one, other = (tiny_models.sample(i, "where is the red circle?", ("left", "right")) for i in (0, 1))
    first, second = family.adapter.rank([one, other])
    assert first.logprobs != pytest.approx(second.logprobs, abs=1e-4)


def test_likelihoods_are_those_of_an_unbatched_uncached_forward_pass(family):
    samples = tiny_models.batch()
    tokenizer = family.adapter.tokenizer
    for sample, output in zip(samples, family.adapter.rank(samples), strict=True):
        inputs = plain.processed(family.name, family.processor, [sample])
        tail = inputs["input_ids"][0].tolist()
        ids = [family.adapter.choice_tokenizer(tail[-8:], choice) for choice in sample.choices]
        assert [tokenizer.decode(row).strip() for row in ids] == [*sample.choices]
        assert output.logprobs == pytest.approx([plain.likelihood(family.model, inputs, row) for row in ids], abs=1e-4)
        assert output.logprob_tokens == tuple(map(len, ids))


def test_layers_do_not_depend_on_the_batch(family):
    samples = tiny_models.batch()
    together = family.adapter.visual_tokens(samples, family.adapter.layers)
    for position, sample in enumerate(samples):
        for alone, among in zip(family.adapter.visual_tokens([sample], family.adapter.layers), together, strict=True):
            assert among.tokens.shape == (3, *alone.tokens.shape[1:])
            torch.testing.assert_close(among.tokens[position], alone.tokens[0], atol=1e-4, rtol=1e-3)


def test_connector_tokens_are_of_the_image_and_not_of_the_prompt(family):
    def see(sample: Sample) -> torch.Tensor:
        return family.adapter.visual_tokens([sample], ["connector"])[0].tokens[0]

    seen = see(tiny_models.sample(0, "where?"))
    torch.testing.assert_close(see(tiny_models.sample(0, "what shape is above the blue square?")), seen)
    moved = (see(tiny_models.sample(1, "where?")) - seen).abs().amax(-1)
    assert (moved > 1e-4).all(), "a token is the same for two images"


@pytest.mark.parametrize(
    "family",
    [name for name in tiny_models.ADAPTED_FAMILIES if "decoder_100" in LAYERS.get(name, DECODER)],
    indirect=True,
)
def test_a_prefix_is_read_both_ways_and_nothing_else_is(family):
    """Visual tokens come before the question: a causal decoder has not read it where they stand."""
    red, blue = (
        family.adapter.visual_tokens([tiny_models.sample(0, f"is it {colour}?")], ["decoder_100"])[0].tokens
        for colour in ("red", "blue")
    )
    reads_on = family.name in {"paligemma", "blip-2, t5"}
    assert torch.allclose(red, blue, atol=1e-5) != reads_on


def test_images_of_unequal_token_counts_are_left_to_single_samples(family):
    samples = [tiny_models.sample(0, "where?"), tiny_models.sample(1, "where?", size=(112, 28))]
    alone = [family.adapter.visual_tokens([sample], ["connector"])[0] for sample in samples]
    if len({visual.tokens.shape for visual in alone}) == 1:
        together = family.adapter.visual_tokens(samples, ["connector"])[0]
        for row, single in enumerate(alone):  # tokens of images of two sizes stand in other places
            np.testing.assert_array_equal(together.boxes_of(row), single.boxes_of(0))
        return
    with pytest.raises(SampleError, match="unequal numbers"):
        family.adapter.visual_tokens(samples, ["connector"])
