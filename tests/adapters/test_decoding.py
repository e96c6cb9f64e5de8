"""Drawn answers and stop texts: every answer is that of its own seed, and greedy decoding stays what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.adapter import Generation, traits_of
from vtbench.errors import AdapterError
from vtbench_families import vtbench_adapters as families
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.decoding import Decoding
from vtbench_llava.adapter import LlavaAdapter

SAMPLES = tiny_models.batch()
ADAPTERS = (HFAdapter, LlavaAdapter)
"""One decodes in `model.generate`, the other from a prefilled cache."""


def adapter(kind, **gen):
    return kind(replace(tiny_models.loaded("llava"), generation=Generation(**gen)))


def texts(made, samples, tokens=6):
    return [output.text for output in made.generate(samples, tokens)]


@pytest.mark.parametrize("kind", ADAPTERS)
def test_answers_are_those_of_the_seed_the_sample_and_the_repeat_whatever_the_batch(kind):
    asked = [replace(sample, repeat=k) for sample in SAMPLES for k in range(4)]
    drawn = adapter(kind, temperature=5.0, seed=1)
    together = texts(drawn, asked)
    assert [texts(drawn, [sample])[0] for sample in asked] == together
    assert texts(drawn, asked[::-1])[::-1] == together
    assert texts(adapter(kind, temperature=5.0, seed=1), asked) == together
    assert texts(adapter(kind, temperature=5.0, seed=2), asked) != together
    assert len(set(together)) > len(asked) / 2


def test_both_ways_of_decoding_draw_the_same_answers():
    for gen in ({"temperature": 5.0}, {"temperature": 3.0, "top_k": 3}, {"temperature": 3.0, "top_p": 0.5}):
        one, other = (texts(adapter(kind, **gen), SAMPLES) for kind in ADAPTERS)
        assert one == other


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_most_likely_token_alone_is_greedy(kind):
    greedy = texts(adapter(kind), SAMPLES)
    assert texts(adapter(kind, temperature=9.0, top_k=1), SAMPLES) == greedy
    assert texts(adapter(kind, temperature=9.0, top_p=1e-6), SAMPLES) == greedy


@pytest.mark.parametrize("kind", ADAPTERS)
def test_drawing_changes_no_ranking(kind):
    plain, drawn = adapter(kind), adapter(kind, temperature=5.0)
    expected = [output.logprobs for output in plain.rank(SAMPLES)]
    drawn.generate(SAMPLES, 4)
    assert [output.logprobs for output in drawn.rank(SAMPLES)] == [pytest.approx(row) for row in expected]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-4, 4), min_size=4, max_size=4), st.floats(0.3, 3))
def test_tokens_are_drawn_with_the_probabilities_of_the_temperature(logits, temperature):
    """The share of each of 4 tokens in 2,000 draws is within 6 standard errors of its probability."""
    count = 2000
    asked = [replace(SAMPLES[0], repeat=k) for k in range(count)]
    decoding = Decoding(Generation(temperature=temperature), asked, None)
    drawn = decoding.choose(torch.tensor([logits]).expand(count, -1))
    expected = (torch.tensor(logits).double() / temperature).softmax(-1)
    share = drawn.bincount(minlength=4) / count
    assert bool(((share - expected).abs() <= 6 * (expected * (1 - expected) / count).sqrt() + 1 / count).all())


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_answer_ends_before_a_stop_text(kind):
    plain = adapter(kind).generate(SAMPLES, 6)
    word = plain[0].text.split()[1]
    made = adapter(kind, until=(word, "never to be said"))
    for before, after in zip(plain, made.generate(SAMPLES, 6), strict=True):
        if word in before.text:
            assert after.text == before.text[: before.text.index(word)].strip()
            assert after.finish_reason == "stop"
            assert after.tokens_out <= before.tokens_out
        else:
            assert replace(after, prefill_seconds=None) == replace(before, prefill_seconds=None)
    assert [made.generate([sample], 6)[0].text for sample in SAMPLES] == texts(made, SAMPLES)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_tokens_out_has_the_end_token(kind):
    made = adapter(kind)
    (cut,) = made.generate(SAMPLES[:1], 3)
    assert (cut.tokens_out, cut.finish_reason) == (3, "length")
    first = made.tokenizer(" " + cut.text.split()[0], add_special_tokens=False).input_ids[0]
    made.model.generation_config.eos_token_id = first
    made.forget()
    (ended,) = made.generate(SAMPLES[:1], 3)
    assert (ended.tokens_out, ended.finish_reason) == (1, "stop")


def test_reasoning_that_the_prompt_opens_is_no_answer():
    made = adapter(LlavaAdapter)
    made.processor.chat_template += "{{ '<think>' }}"
    (output,) = made.generate(SAMPLES[:1], 4)
    assert output.rendered_prompt.endswith("ASSISTANT:<think>")
    assert output.text.startswith("<think>\n")
    assert output.reasoning_tokens == output.tokens_out == 4


@pytest.mark.parametrize("kind", ADAPTERS)
def test_context_is_part_of_the_prompt_and_of_the_caches_key(kind):
    made = adapter(kind)
    shot = replace(SAMPLES[1], prompt="what shape is it?", target="circle")
    asked = [replace(SAMPLES[0], examples=(shot,)), replace(SAMPLES[0], system="from"), SAMPLES[0]]
    for samples in ([one] for one in asked):
        (output,) = made.generate(samples, 2)
        assert output.visual_tokens_in == 16 * (1 + len(samples[0].examples))
    prompts = [made.generate([sample], 2)[0].rendered_prompt for sample in asked]
    assert prompts[0] == (
        "<s>USER: <image>\nwhat shape is it? ASSISTANT: circle</s>USER: <image>\n"
        "is the red circle left of the blue square? ASSISTANT:"
    )
    assert prompts[1].startswith("<s>SYSTEM: from USER: <image>")
    assert prompts[2] == "<s>USER: <image>\nis the red circle left of the blue square? ASSISTANT:"
    other = replace(asked[0], examples=(replace(shot, target="zebra"),))
    assert made.generate([other], 2)[0].rendered_prompt != prompts[0]
    lengths = [output.tokens_in for output in made.generate(asked, 2)]
    assert lengths[0] > lengths[1] > lengths[2]
    bare, after = (made.visual_tokens(samples, ["connector"])[0].tokens for samples in (asked[2:], asked[:1]))
    assert torch.equal(bare, after)


def test_a_budget_refuses_what_stands_before_the_question():
    from vtbench.testing.example_budgets import KeepFirst

    made = adapter(LlavaAdapter)
    with pytest.raises(AdapterError, match="leave --system and --fewshot out"):
        made.generate([replace(SAMPLES[0], system="from")], 2, KeepFirst(1))


def test_only_models_of_several_images_say_so(tmp_path):
    made = {name: families()[name](pretrained=str(tiny_models.save(kind, tmp_path / name)), device="cpu")
            for name, kind in (("qformer", "blip-2"), ("paligemma", "paligemma"), ("mllama", "mllama"))}  # fmt: skip
    assert {name for name, one in made.items() if "images" in one.capabilities} == {"mllama"}
    assert all("context" in one.capabilities for one in made.values())
    assert traits_of(made["mllama"]).prompt_format == "instruct"


def test_a_checkpoint_trained_on_our_tasks_wants_the_plain_format(tmp_path):
    from vtbench_hf import hf

    trained = LlavaAdapter(tiny_models.loaded("llava"))
    (tmp_path / "own").mkdir()
    trained.save(tmp_path / "own", "float32")
    again = hf(pretrained=str(tmp_path / "own"), device="cpu")
    assert (trained.traits.prompt_format, again.traits.prompt_format) == ("instruct", "plain")
