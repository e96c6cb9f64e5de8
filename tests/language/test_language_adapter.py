"""The controls of a causal language model: what they are told, and that they answer as transformers does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import transformers
from PIL import Image

import vtbench
from vtbench.adapter import INSTRUCT, Generation, traits_of
from vtbench.errors import AdapterError, SampleError
from vtbench.testing import adapter_checks, assert_checks
from vtbench.types import Sample
from vtbench_language.caption import caption

CONTROLS = ("question_only", "captioned")


def plain_answer(directory, prompt, max_new_tokens):
    """Return what transformers itself generates after a rendered prompt."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory).eval()
    ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False)])
    with torch.no_grad():
        new = model.generate(ids, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    return tokenizer.decode(new, skip_special_tokens=True).strip(), ids.shape[1]


@pytest.mark.parametrize(("control", "checkpoint"), [("question_only", "tiny"), ("captioned", "base")])
def test_the_contract(control, checkpoint, make, request):
    directory = request.getfixturevalue(checkpoint)
    drawing = lambda: make(control, directory, Generation(temperature=50.0))  # noqa: E731
    assert_checks(adapter_checks(lambda: make(control, directory), drawing=drawing))


@pytest.mark.parametrize("control", CONTROLS)
def test_what_it_declares(control, tiny, make):
    adapter = make(control, tiny)
    assert adapter.capabilities == {"generate", "rank", "context", "images"}
    assert adapter.layers == ()
    assert adapter.image_size is None
    assert traits_of(adapter).prompt_format == INSTRUCT
    assert adapter.describe()["control"] == control
    assert len(adapter.describe()["fingerprint"]) == 64


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("checkpoint", ["tiny", "base"])
def test_answers_are_those_of_transformers(control, checkpoint, make, samples, request):
    directory = request.getfixturevalue(checkpoint)
    for output in make(control, directory).generate(samples, 9):
        assert (output.text, output.tokens_in) == plain_answer(directory, output.rendered_prompt, 9)
        assert 1 <= output.tokens_out <= 9
        assert output.finish_reason == ("length" if output.tokens_out == 9 else "stop")


@pytest.mark.parametrize("control", CONTROLS)
def test_a_batch_answers_as_each_alone(control, tiny, make, samples):
    together = make(control, tiny).generate(samples, 12)
    alone = [make(control, tiny).generate([sample], 12)[0] for sample in samples]
    assert together == alone


def test_question_only_is_told_nothing_of_the_scene(tiny, make, samples):
    sample = samples[-1]
    prompt = make("question_only", tiny).generate([sample], 1)[0].rendered_prompt
    first, second = sample.examples
    assert prompt == (
        f"<|user|>{first.prompt}</s><|assistant|>{first.target}</s>"
        f"<|user|>{second.prompt}</s><|assistant|>{second.target}</s><|user|>{sample.prompt}</s><|assistant|>"
    )


def test_captioned_is_told_the_scene_in_the_place_of_each_image(tiny, make, samples):
    sample = samples[-1]
    prompt = make("captioned", tiny).generate([sample], 1)[0].rendered_prompt
    asked = [f"{caption(one.scene)}\n\n{one.prompt}" for one in (*sample.examples, sample)]
    first, second = (example.target for example in sample.examples)
    assert prompt == (
        f"<|user|>{asked[0]}</s><|assistant|>{first}</s><|user|>{asked[1]}</s><|assistant|>{second}</s>"
        f"<|user|>{asked[2]}</s><|assistant|>"
    )


def test_without_a_chat_template_texts_are_joined_as_lm_eval_joins_them(base, make, samples):
    sample = replace(samples[-1], system="Be brief.")
    prompt = make("question_only", base).generate([sample], 1)[0].rendered_prompt
    first, second = sample.examples
    told = [f"{one.prompt} {one.target}\n\n" for one in (first, second)]
    assert prompt == f"Be brief.\n\n{told[0]}{told[1]}{sample.prompt}"


@pytest.mark.parametrize("control", CONTROLS)
def test_rankings_are_sums_of_transformers_log_probabilities(control, tiny, make, samples):
    adapter = make(control, tiny)
    output = adapter.rank(samples[:1])[0]
    prompt = adapter.generate(samples[:1], 1)[0].rendered_prompt
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny).eval()
    head = tokenizer.encode(prompt, add_special_tokens=False)
    for choice, logprob, count in zip(samples[0].choices, output.logprobs, output.logprob_tokens, strict=True):
        tail = tokenizer.encode(choice, add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([head + tail])).logits[0].log_softmax(-1)
        expected = sum(logits[len(head) - 1 + i, token].item() for i, token in enumerate(tail))
        assert count == len(tail)
        assert logprob == pytest.approx(expected, abs=1e-4)


def test_equal_prompts_are_asked_once(tiny, make, samples, monkeypatch):
    """Without its image, a question of one task is often the same text as another."""
    adapter, asked = make("question_only", tiny), []
    generate = adapter.generate_tokens

    def counted(inputs, *more):
        asked.append(len(inputs["input_ids"]))
        return generate(inputs, *more)

    monkeypatch.setattr(adapter, "generate_tokens", counted)
    alike = [replace(samples[0], id=f"{n}", scene=None, images=()) for n in range(5)]
    outputs = adapter.generate([*alike, samples[1]], 6)
    assert asked == [2 if samples[0].prompt != samples[1].prompt else 1]
    assert outputs[:5] == [outputs[0]] * 5
    assert adapter.generate(samples[:1], 6) == outputs[:1]
    assert len(asked) == 1
    assert adapter.generate(samples[:1], 3)[0].tokens_out <= 3


def test_repeats_of_a_question_are_drawn_anew(tiny, make, samples):
    adapter = make("question_only", tiny, Generation(temperature=20.0, seed=5))
    repeats = [replace(samples[0], id=f"{samples[0].id}~{n}", repeat=n) for n in range(6)]
    texts = [output.text for output in adapter.generate(repeats, 6)]
    assert len(set(texts)) > 1
    assert texts == [adapter.generate([repeat], 6)[0].text for repeat in repeats]


def test_an_answer_ends_at_a_stop_text(tiny, make, samples):
    whole = make("captioned", tiny).generate(samples[:1], 24)[0].text
    stop = whole[4:6]
    cut = make("captioned", tiny, Generation(until=(stop,))).generate(samples[:1], 24)[0]
    assert cut.text == whole[: whole.index(stop)].strip()
    assert cut.finish_reason == "stop"


def test_variables_of_the_chat_template(tiny, base, make, samples):
    prompt = make("captioned", tiny, chat_template_args={"thinking": True}).generate(samples[:1], 2)[0].rendered_prompt
    assert prompt.endswith("<|assistant|><think>")
    with pytest.raises(AdapterError, match="no such variable; it has thinking"):
        make("captioned", tiny, chat_template_args={"enable_thinking": True})
    with pytest.raises(AdapterError, match="the checkpoint has no chat template"):
        make("captioned", base, chat_template_args={"thinking": True})


def test_a_prompt_that_is_too_long_is_a_failed_sample(tiny, make, samples):
    long = replace(samples[0], prompt="word " * 1000)
    with pytest.raises(SampleError, match=r"its prompt has [\d,]+ tokens .* and the model's context 4,096"):
        make("question_only", tiny).generate([long], 4)


def test_an_image_that_nothing_tells_of(tiny, make):
    own = Sample("own/7", 7, (Image.new("RGB", (8, 8)),), "What is it?", "a cat")
    with pytest.raises(SampleError, match=r"own/7: nothing tells what its image shows; name the column"):
        make("captioned", tiny).generate([own], 4)
    assert make("question_only", tiny).generate([own], 4)[0].rendered_prompt == "<|user|>What is it?</s><|assistant|>"
    told = replace(own, meta={"caption": " A cat on a mat.\n"})
    prompt = make("captioned", tiny).generate([told], 4)[0].rendered_prompt
    assert prompt == "<|user|>A cat on a mat.\n\nWhat is it?</s><|assistant|>"


def test_a_run_on_own_images_with_captions(tiny, tmp_path):
    Image.new("RGB", (8, 8), (200, 30, 30)).save(tmp_path / "red.png")
    rows = [
        {"image": "red.png", "prompt": "What is it?", "target": "a mat", "told": "A red mat."},
        {"image": "red.png", "prompt": "What is it?", "target": "a mat"},
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.yaml").write_text("task: own\ndata: {path: own.jsonl, caption: told}\n")
    done = vtbench.run(
        "captioned", [tmp_path / "own.yaml"], model_args={"pretrained": str(tiny)}, device="cpu", output=tmp_path,
        max_failed=1.0, report=False,
    )  # fmt: skip
    told, untold = map(json.loads, (done.path / "samples.jsonl").read_text().splitlines())
    assert told["rendered_prompt"] == "<|user|>A red mat.\n\nWhat is it?</s><|assistant|>"
    assert "nothing tells what its image shows" in untold["error"]
