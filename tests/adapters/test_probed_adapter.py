"""Any checkpoint: its answers are the model's own, and its visual tokens are what enters the decoder."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import wraps

import numpy as np
import probed
import pytest
import torch

from vtbench.errors import AdapterError, SampleError
from vtbench.types import Sample
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.generation import stop_ids, until_stop
from vtbench_hf.probed_adapter import ProbedAdapter
from vtbench_hf.visual_features import DECODER_DEPTHS


# of the module's scope, so that the tests of a type follow one another, and one of two processes builds it
@pytest.fixture(scope="module", params=probed.TYPES)
def made(request) -> ProbedAdapter:
    return probed.adapter(request.param)


def _kind(made: ProbedAdapter) -> str:
    return made.loaded.checkpoint.removeprefix("tiny ")


@contextmanager
def _heard(module: torch.nn.Module):
    """Give the keyword arguments of a module's first call."""
    heard: list[dict] = []
    handle = module.register_forward_pre_hook(lambda _, args, kwargs: heard.append(kwargs), with_kwargs=True)
    try:
        yield heard
    finally:
        handle.remove()


def test_it_says_what_it_can_do_and_why_not(made):
    assert {"generate", "rank", "visual_tokens", "train"} <= made.capabilities
    assert made.layers[0] == "connector"
    assert set(DECODER_DEPTHS) <= set(made.layers)
    if _kind(made) in probed.ENCODER_DECODERS:
        assert "budget" not in made.capabilities
        assert "encoder" in made.describe()["missing"]["budget"]
    else:
        assert "budget" in made.capabilities
        assert "missing" not in made.describe()


def test_answers_are_those_of_generate(made):
    asked = probed.samples(made)
    inputs = made.model_inputs(asked)
    with torch.no_grad():
        rows = made.model.generate(**inputs, max_new_tokens=6, do_sample=False)
    kept = [until_stop(row[-6:].tolist(), stop_ids(made.model)) for row in rows]
    expected = [made.tokenizer.decode(row, skip_special_tokens=True).strip() for row in kept]
    assert [output.text.strip() for output in made.generate(asked, 6)] == expected


@pytest.mark.parametrize("model_type", probed.CAUSAL)
def test_a_ranking_is_one_forward_pass(model_type):
    made = probed.adapter(model_type)
    asked = probed.samples(made)
    for sample, output in zip(asked, made.rank(asked), strict=True):
        alone = made.model_inputs([sample])
        length = alone["input_ids"].shape[1]
        for choice, logprob in zip(sample.choices, output.logprobs, strict=True):
            ids = made.choice_tokenizer(alone["input_ids"][0].tolist(), choice)
            grown = dict(alone)
            for name, value in alone.items():
                if value.shape == alone["input_ids"].shape and not name.startswith("qformer"):
                    more = torch.tensor([ids]) if name == "input_ids" else value[:, -1:].repeat(1, len(ids))
                    grown[name] = torch.cat([value, more], 1)
            with torch.no_grad():
                logits = made.model(**grown).logits.float().log_softmax(-1)[0]
            start = len(logits) - len(ids) - 1
            expected = sum(logits[start + i, token].item() for i, token in enumerate(ids))
            assert logprob == pytest.approx(expected, abs=5e-6), (choice, length)


def test_the_connector_is_what_enters_the_decoder(made):
    (one,) = probed.samples(made)[:1]
    other = replace(one, images=(probed.image(99, one.images[0].size),))
    calls = []
    for sample in (one, other):
        with _heard(made.decoder) as heard, torch.no_grad():
            made.model.generate(**made.model_inputs([sample]), max_new_tokens=1, do_sample=False)
        calls.append(heard[0])
    embeds, others = (call["inputs_embeds"][0] for call in calls)
    moved = (embeds != others).any(-1)
    (visual,) = made.visual_tokens([one], ["connector"])
    tokens = torch.as_tensor(visual.tokens[0])
    if _kind(made) == "granite4_vision":  # the embeddings are zero there, and rows are added in later layers
        assert not moved.any()
        rows = list(calls[0]["deepstack_features"].values())
        assert tokens.shape[1] == len(rows) * rows[0].shape[1]
        assert torch.isin(tokens[:, : rows[0].shape[1]], rows[0]).all()
        return
    assert moved.sum() == len(tokens)
    assert torch.equal(tokens[:, : embeds.shape[1]], embeds[moved])
    if "deepstack_visual_embeds" in calls[0]:
        for i, rows in enumerate(calls[0]["deepstack_visual_embeds"], 1):
            width = embeds.shape[1]
            assert torch.equal(tokens[:, i * width : (i + 1) * width], rows)
            (level,) = made.visual_tokens([one], [f"deepstack_{i}"])
            assert torch.equal(torch.as_tensor(level.tokens[0]), rows)
        assert made.layers[1:4] == ("deepstack_1", "deepstack_2", "deepstack_3")


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "gemma3", "mistral3", "granite4_vision", "qwen3_vl"])
def test_decoder_layers_are_the_hidden_states_of_generate(model_type):
    made = probed.adapter(model_type)
    (sample,) = probed.samples(made)[:1]
    inputs = made.model_inputs([sample])
    with torch.no_grad():
        run = made.model.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_hidden_states=True, return_dict_in_generate=True
        )
    states = run.hidden_states[0]
    made.cache.clear()
    visual = made.visual_token_mask(inputs)[0]
    for taken, depth in zip(made.visual_tokens([sample], [*DECODER_DEPTHS]), (0.25, 0.5, 0.75, 1), strict=True):
        expected = states[max(1, round(depth * (len(states) - 1)))][0][visual]
        torch.testing.assert_close(torch.as_tensor(taken.tokens[0]), expected, atol=1e-5, rtol=1e-5)


def test_a_batch_is_its_samples(made):
    asked = probed.samples(made)
    alone = [made.rank([sample])[0] for sample in asked]
    np.testing.assert_allclose(probed.logprobs(made.rank(asked)), probed.logprobs(alone), atol=5e-6)
    together = made.visual_tokens(asked, ["connector"])[0].tokens
    for row, sample in zip(together, asked, strict=True):
        (single,) = made.visual_tokens([sample], ["connector"])
        torch.testing.assert_close(torch.as_tensor(row), torch.as_tensor(single.tokens[0]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "mistral3", "gemma4"])
def test_a_batch_of_several_image_sizes(model_type):
    made = probed.adapter(model_type)
    sizes = ((112, 112), (224, 112), (112, 224), (160, 120), (300, 200))
    asked = probed.samples(made, sizes)
    (visual,) = made.visual_tokens(asked, ["connector"])
    assert len({len(row) for row in visual.tokens}) > 1
    for i, (row, sample) in enumerate(zip(visual.tokens, asked, strict=True)):
        (single,) = made.visual_tokens([sample], ["connector"])
        assert torch.as_tensor(row).shape == torch.as_tensor(single.tokens[0]).shape
        np.testing.assert_array_equal(visual.boxes_of(i), single.boxes)
        assert len(visual.boxes_of(i)) == len(row)
    alone = [made.rank([sample])[0] for sample in asked]
    np.testing.assert_allclose(probed.logprobs(made.rank(asked)), probed.logprobs(alone), atol=5e-6)


def test_generating_and_ranking_in_any_order_gives_the_same(made):
    asked = probed.samples(made)
    ranked, said = made.rank(asked), made.generate(asked, 5)
    made.cache.clear()
    assert [output.text for output in made.generate(asked, 5)] == [output.text for output in said]
    np.testing.assert_allclose(probed.logprobs(made.rank(asked)), probed.logprobs(ranked), atol=1e-6)


def test_a_model_that_does_not_read_the_image_is_refused(monkeypatch):
    model, processor = probed.adapter("qwen2_5_vl").model, probed.adapter("qwen2_5_vl").processor
    features = model.model.get_image_features

    @wraps(features)
    def blind(pixel_values, *args, **kwargs):
        return features(torch.zeros_like(pixel_values), *args, **kwargs)

    monkeypatch.setattr(model.model, "get_image_features", blind)
    with pytest.raises(AdapterError, match="the image does not reach the language model"):
        ProbedAdapter(LoadedModel(model, processor, "blinded"))


def test_an_image_that_the_prompt_leaves_out_is_an_error_of_its_sample(monkeypatch):
    made = probed.adapter("qwen2_5_vl")
    monkeypatch.setattr(made, "visual_token_mask", lambda inputs: torch.zeros_like(inputs["input_ids"]).bool())
    made.cache.clear()
    with pytest.raises(SampleError, match="no visual token"):
        made.generate(probed.samples(made), 3)


def test_a_model_whose_decoder_takes_no_embeddings_still_answers():
    made = probed.adapter("git")
    assert made.capabilities & {"generate", "rank", "visual_tokens", "budget"} == {"generate", "rank"}
    assert "embeddings" in made.describe()["missing"]["visual_tokens"]
    asked = probed.samples(made)
    assert len(made.generate(asked, 3)) == 2
    with pytest.raises(AdapterError, match="no layer"):
        made.visual_tokens(asked, ["connector"])


def test_samples_without_an_image_are_answered():
    made = probed.adapter("qwen2_5_vl")
    text = Sample("text", 0, (), "What is red?", "", choices=probed.CHOICES)
    (shown, _) = probed.samples(made)
    alone, seen = made.generate([text], 3)[0], made.generate([shown], 3)[0]
    both = made.generate([text, shown], 3)
    assert [output.text for output in both] == [alone.text, seen.text]
    assert [output.visual_tokens_in for output in both] == [0, seen.visual_tokens_in]
