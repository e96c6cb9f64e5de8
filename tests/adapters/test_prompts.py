"""What a model is asked: the chat template from any place, no placeholder of a question's own, nothing too long."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.engine.batching import Failure, run_with_backoff
from vtbench.errors import AdapterError, SampleError
from vtbench.types import Sample
from vtbench_families import FAMILIES
from vtbench_families import vtbench_adapters as families
from vtbench_hf import hf
from vtbench_hf.answer_text import answer_text, finish_reason
from vtbench_hf.context_length import answer_room, context_length
from vtbench_hf.prompts import prompt_text, question_text
from vtbench_llava import llava

OTHER = "{{ 'NO' }}"
VICUNA = "{% for m in messages %}{{ 'Q: ' + m['content'] }}{% endfor %}{{ ' A:' }}"
"""As language models have it: it joins texts, and knows no parts."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_models.save("llava", tmp_path_factory.mktemp("checkpoints") / "whole")


@pytest.fixture
def bare(whole, tmp_path):
    """Return a copy of the checkpoint without its template, and the template."""
    directory = shutil.copytree(whole, tmp_path / "bare")
    template = (directory / "chat_template.jinja").read_text()
    (directory / "chat_template.jinja").unlink()
    assert "chat_template" not in (directory / "tokenizer_config.json").read_text()
    return directory, template


def into_json(path, template):
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(values | {"chat_template": template}))


def named(**templates):
    return [{"name": name, "template": text} for name, text in templates.items()]


PLACES = {
    "chat_template.jinja": lambda d, t: (d / "chat_template.jinja").write_text(t),
    "tokenizer_config, a text": lambda d, t: into_json(d / "tokenizer_config.json", t),
    "tokenizer_config, several": lambda d, t: into_json(d / "tokenizer_config.json", named(rag=OTHER, default=t)),
    "tokenizer_config, one": lambda d, t: into_json(d / "tokenizer_config.json", named(chat=t)),
    "processor_config": lambda d, t: into_json(d / "processor_config.json", t),
    "processor_config, several": lambda d, t: into_json(d / "processor_config.json", {"default": t, "rag": OTHER}),
    "chat_template.json": lambda d, t: into_json(d / "chat_template.json", t),
    "beside others": lambda d, t: (
        (d / "additional_chat_templates").mkdir(),
        (d / "additional_chat_templates" / "rag.jinja").write_text(OTHER),
        (d / "chat_template.jinja").write_text(t),
    ),
    "the only other": lambda d, t: (
        (d / "additional_chat_templates").mkdir(),
        (d / "additional_chat_templates" / "chat.jinja").write_text(t),
    ),
    "the tokenizer's default beside the processor's others": lambda d, t: (
        into_json(d / "tokenizer_config.json", t),
        into_json(d / "processor_config.json", {"rag": OTHER}),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_template_is_found_wherever_transformers_finds_one(place, bare, whole):
    directory, template = bare
    PLACES[place](directory, template)
    sample = tiny_models.batch()[0]
    expected = hf(pretrained=str(whole), device="cpu")
    for factory in (hf, llava):
        adapter = factory(pretrained=str(directory), device="cpu")
        assert prompt_text(adapter.processor, sample) == prompt_text(expected.processor, sample)
        assert adapter.describe()["chat_template"] == expected.describe()["chat_template"] is not None


def test_a_family_finds_the_template_of_its_tokenizer(tmp_path):
    directory = tiny_models.save("qwen2_vl", tmp_path / "qwen")
    template = (directory / "chat_template.jinja").read_text()
    expected = families()["qwen2_vl"](pretrained=str(directory), device="cpu")
    (directory / "chat_template.jinja").unlink()
    into_json(directory / "tokenizer_config.json", named(default=template))
    found = families()["qwen2_vl"](pretrained=str(directory), device="cpu")
    sample = tiny_models.batch()[0]
    assert prompt_text(found.processor, sample) == prompt_text(expected.processor, sample)


def test_without_a_template_the_description_says_so(bare):
    assert hf(pretrained=str(bare[0]), device="cpu").describe()["chat_template"] is None


def test_one_of_several_templates_is_chosen_by_its_name(bare):
    directory, template = bare
    into_json(directory / "tokenizer_config.json", named(rag=OTHER, chat=template))
    with pytest.raises(AdapterError, match=r"several chat templates .* chat_template=NAME, of chat, rag"):
        hf(pretrained=str(directory), device="cpu")
    chosen = hf(pretrained=str(directory), device="cpu", chat_template="chat")
    assert prompt_text(chosen.processor, tiny_models.batch()[0]).startswith("<s>USER: <image>")
    with pytest.raises(AdapterError, match="neither a Jinja template nor a file; its templates are chat, rag"):
        hf(pretrained=str(directory), device="cpu", chat_template="chats")


def test_a_template_of_a_language_model_is_given_a_text(bare):
    directory, _ = bare
    into_json(directory / "tokenizer_config.json", VICUNA)
    adapter = hf(pretrained=str(directory), device="cpu")
    sample = tiny_models.sample(0, "What is it?")
    assert prompt_text(adapter.processor, sample) == "Q: <image>What is it? A:"


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_placeholders_in_a_question_are_taken_out(name):
    """Every architecture: the question is asked as if the placeholders were not there, whatever the model's are."""
    processor = tiny_models.loaded(name).processor
    image_token = str(getattr(processor, "image_token", None) or "<image>")
    clean = tiny_models.sample(0, "What is it?")
    for prompt in ("<image>\nWhat is it?", f"{image_token}What is it?", f"What is it? {image_token}{image_token}"):
        assert question_text(processor, replace(clean, prompt=prompt)) == "What is it?"
    assert question_text(processor, replace(clean, prompt="Is a < b [1] | c?")) == "Is a < b [1] | c?"
    with pytest.raises(SampleError, match="nothing but placeholders"):
        question_text(processor, replace(clean, prompt=f"<image>\n{image_token} "))


@pytest.mark.parametrize("name", ["llava", "blip-2", "qwen2_vl", "fuyu", "idefics", "idefics3", "internvl", "mllama"])
def test_a_placeholder_in_one_question_changes_no_answer(name):
    tiny = tiny_models.loaded(name)
    kind = name.partition(",")[0]
    if kind in tiny_models.ADAPTERS:
        module, _, adapter_class = FAMILIES[tiny_models.ADAPTERS[kind]].adapter.partition(".")
        adapter = getattr(__import__(f"vtbench_families.{module}", fromlist=["x"]), adapter_class)(tiny)
    else:
        from vtbench_llava.adapter import LlavaAdapter

        adapter = LlavaAdapter(tiny)
    clean = [tiny_models.sample(i, "from from") for i in range(3)]
    marked = [clean[0], replace(clean[1], prompt="<image>\nfrom from"), clean[2]]
    expected = [output.text for output in adapter.generate(clean, 4)]
    adapter.forget()
    assert [output.text for output in adapter.generate(marked, 4)] == expected


def texts_of(adapter, samples, n):
    found = run_with_backoff(samples, lambda part: adapter.generate(part, n), lambda _: None)
    return [got if isinstance(got, Failure) else got.text for _, got in found]


@pytest.fixture
def short():
    """Return an adapter whose model has a context of 40 tokens, 16 of which an image takes."""
    from vtbench_llava.adapter import LlavaAdapter

    tiny = tiny_models.loaded("llava")
    tiny.model.config.text_config.max_position_embeddings = 40
    return LlavaAdapter(tiny)


def test_a_prompt_longer_than_the_context_fails_alone_and_says_the_lengths(short):
    good, bad = tiny_models.sample(0, "from"), tiny_models.sample(1, "from " * 60)
    alone = short.generate([good], 2)[0].text
    one, other = texts_of(short, [good, bad], 2)
    assert one == alone
    assert isinstance(other, Failure)
    text = prompt_text(short.processor, bad).replace("<image>", "<image>" * 16)
    tokens = len(short.tokenizer(text, add_special_tokens=False).input_ids)
    assert f"its prompt has {tokens} tokens" in str(other)
    assert "the model's context 40" in str(other)
    with pytest.raises(SampleError, match="context 40"):
        short.rank([replace(good, choices=("from", "from " * 40))])


def test_an_answer_that_reaches_the_end_of_the_context_is_cut(short):
    samples = [tiny_models.sample(i, "from") for i in range(2)]
    for _, output in run_with_backoff(samples, lambda part: short.generate(part, 500), lambda _: None):
        assert output.finish_reason == "length"
        assert len(short.tokenizer(output.text, add_special_tokens=False).input_ids) < 40


def test_a_long_prompt_does_not_shorten_the_answers_of_its_batch():
    assert answer_room([10, 20], 8, 2048) == answer_room([10, 2000], 8, None) == 8
    assert answer_room([2040], 128, 2048) == answer_room([2040, 2040], 128, 2048) == 8
    with pytest.raises(SampleError, match="2,040 tokens leaves no room for 128 more in 2,048"):
        answer_room([10, 2040], 128, 2048)
    assert answer_room([10, 100], 4096, 2048) == 1948  # long enough for all of them


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({"max_position_embeddings": 100}, 100),
        ({}, None),
        ({"max_position_embeddings": 100, "rope_parameters": {"rope_type": "default"}}, 100),
        ({"max_position_embeddings": 100, "rope_scaling": {"type": "linear", "factor": 4.0}}, 400),
        (
            {
                "max_position_embeddings": 400,
                "rope_parameters": {"factor": 4.0, "original_max_position_embeddings": 100},
            },
            400,
        ),
        (
            {
                "max_position_embeddings": 100,
                "rope_parameters": {"factor": 4.0, "original_max_position_embeddings": 100},
            },
            400,
        ),
    ],
)
def test_the_length_of_a_context(settings, length):
    assert context_length(SimpleNamespace(get_text_config=lambda: SimpleNamespace(**settings))) == length


def test_a_local_engine_says_why_an_answer_ended():
    from vtbench_llava.adapter import LlavaAdapter

    adapter = LlavaAdapter(tiny_models.loaded("llava"))
    sample = tiny_models.sample(0, "from")
    (cut,) = adapter.generate([sample], 3)
    assert cut.finish_reason == "length"
    # The first token of the answer ends it: nothing is left to cut.
    first = adapter.tokenizer(" " + cut.text.split()[0], add_special_tokens=False).input_ids[0]
    adapter.model.generation_config.eos_token_id = first
    adapter.forget()
    (ended,) = adapter.generate([sample], 3)
    assert (ended.text, ended.finish_reason) == ("", "stop")


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 6))
def test_an_answer_is_cut_if_no_end_token_came_in_time(tokens, most):
    assert (finish_reason(tokens[:most], most) == "length") == (len(tokens) >= most)


class Words:
    """A tokenizer whose tokens are words; the first five are special."""

    names = ("<s>", "</s>", "[THINK]", "[/THINK]", "<|channel|>", "red", "blue")
    all_special_ids = (0, 1, 2, 3, 4)

    def convert_ids_to_tokens(self, i):
        return self.names[i]

    def decode(self, row, skip_special_tokens):
        return " ".join(self.names[i] for i in row if not (skip_special_tokens and i in self.all_special_ids))

    def batch_decode(self, rows, skip_special_tokens):
        return [self.decode(row, skip_special_tokens) for row in rows]


def test_special_tokens_around_reasoning_stay_in_the_text():
    rows = [[0, 2, 5, 3, 6, 1], [5, 1], [2, 5]]
    assert [answer_text(Words(), row).strip() for row in rows] == ["[THINK] red [/THINK] blue", "red", "[THINK] red"]


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=40))
def test_no_question_makes_a_placeholder_more(text):
    asked = Sample("t/0", 0, (None,), text, "x")
    try:
        written = prompt_text(PROCESSOR, asked)
    except SampleError:
        return
    assert written.count("<image>") == 1


PROCESSOR = tiny_models.loaded("llava").processor
