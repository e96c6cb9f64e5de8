"""What real chat templates make of a question, a system prompt and examples: golden prompts, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models

from vtbench.errors import AdapterError, SampleError
from vtbench.types import IMAGE_PLACE, Sample
from vtbench_hf.answer_text import read_answer
from vtbench_hf.chat_rendering import opening_of_answer
from vtbench_hf.chat_template import check_template_args, reasons
from vtbench_hf.prompts import prompt_images, prompt_text, takes_several_images

DATA = Path(__file__).parents[1] / "data" / "chat_templates"
TEMPLATES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*.jinja"))}
TOKENS = {
    "gemma": ("", "<bos>", "<eos>"),
    "gemma3": ("<start_of_image>", "<bos>", "<eos>"),
    "gemma4": ("<|image|>", "<bos>", "<eos>"),
    "glm4_1v": ("<|image|>", None, "<|endoftext|>"),
    "glm4_5v": ("<|image|>", None, "<|endoftext|>"),
    "idefics3": ("<image>", "<|begin_of_text|>", "<|end_of_text|>"),
    "lfm2_5_vl": ("<image>", "<|startoftext|>", "<|im_end|>"),
    "llava_next": ("<image>", "<s>", "</s>"),
    "qwen2_5_vl": ("<|image_pad|>", None, "<|im_end|>"),
    "qwen3_5": ("<|image_pad|>", None, "<|im_end|>"),
    "qwen3_vl": ("<|image_pad|>", None, "<|im_end|>"),
    "smollm2": ("", "<|im_start|>", "<|im_end|>"),
    "smolvlm": ("<image>", "<|im_start|>", "<end_of_utterance>"),
}
"""By template: what stands for an image, and the first and the last token of a text."""
TEXTS = {"gemma": {"user", "assistant"}, "smollm2": {"user", "system", "assistant"}, "glm4_1v": {"system", "assistant"}}
"""Roles whose content is a text for a template; elsewhere it is a list of parts."""
THINKING = {"gemma4": False, "glm4_5v": False, "qwen3_5": False}
"""Templates with a switch, and its value that turns reasoning off."""


@cache
def processor_of(name: str) -> Any:
    """Return a tiny processor with a template, and the special tokens of its checkpoint."""
    processor = tiny_models.loaded("llava").processor
    processor.image_token, processor.tokenizer.bos_token, processor.tokenizer.eos_token = TOKENS[name]
    processor.chat_template = TEMPLATES[name]
    return processor


def question(name: str) -> Sample:
    images = (None,) if TOKENS[name][0] else ()
    return Sample("t/0", 0, images, "What colour is the disc? Answer with one word.", "red")


IMAGES: Any = (None, None)
INTERLEAVED = Sample("t/0", 0, IMAGES, f"Is {IMAGE_PLACE} redder than {IMAGE_PLACE}?", "yes")
IMAGES_FIRST = {"llava_next"}
"""Templates that write all images of a message before its texts."""


@pytest.mark.parametrize("name", [name for name in TEMPLATES if TOKENS[name][0]])
def test_images_amid_the_words_stand_there_or_are_refused(name: str) -> None:
    processor = processor_of(name)
    if name in IMAGES_FIRST:
        with pytest.raises(SampleError, match=r"leaves out the places of images amid the question.*number_images"):
            prompt_text(processor, INTERLEAVED)
    else:
        text = prompt_text(processor, INTERLEAVED)
        first, second = text.index("redder than"), text.rindex("?")
        token = TOKENS[name][0]
        assert text.index("Is") < text.index(token) < first < text.rindex(token) < second
        assert text.count(token) == 2


def chats(name: str) -> dict[str, tuple[Sample, dict[str, Any]]]:
    """Return what is asked, by the title of its prompt: samples and variables of the template."""
    asked = question(name)
    examples = (
        replace(asked, prompt="What colour is the star?", target="blue"),
        replace(asked, prompt="How many rings?", target="3", answer="(B) 3"),
    )
    found: dict[str, tuple[Sample, dict[str, Any]]] = {"a question": (asked, {})}
    if name != "gemma":
        found["a system prompt"] = (replace(asked, system="You look at images."), {})
    found["2 examples as turns"] = (replace(asked, examples=examples), {})
    found["2 examples in one message"] = (replace(asked, examples=examples, multiturn=False), {})
    if name in THINKING:
        found["thinking off"] = (asked, {"enable_thinking": THINKING[name]})
    return found


def golden(name: str) -> dict[str, str]:
    sections = (DATA / f"{name}.txt").read_text(encoding="utf-8").split("##### ")[1:]
    return {title: text.removesuffix("\n") for title, _, text in (part.partition("\n") for part in sections)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_prompts_of_real_templates_are_the_golden_ones(name):
    assert {title: prompt_text(processor_of(name), *chat) for title, chat in chats(name).items()} == golden(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_what_the_processor_makes_of_the_chat(name):
    """The forms of each role's content are written here by hand; nothing is tried out."""
    processor = processor_of(name)
    for title, (sample, variables) in chats(name).items():
        said = [
            {
                "role": message.role,
                "content": "".join(message.content)
                if message.role in TEXTS.get(name, ())
                else [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                    for part in message.content
                ],
            }
            for message in sample.messages
        ]
        expected = processor.apply_chat_template(said, add_generation_prompt=True, **variables)
        assert prompt_text(processor, sample, variables) == expected, title
        token = TOKENS[name][0]
        assert not token or expected.count(token) == len(prompt_images(sample)), title


def test_there_are_eight_families_that_take_several_images():
    assert sum(takes_several_images(processor_of(name)) for name in TEMPLATES) >= 8
    assert [name for name in TEMPLATES if not takes_several_images(processor_of(name))] == ["gemma", "smollm2"]


def test_a_template_without_a_system_role_says_what_to_do():
    with pytest.raises(
        SampleError,
        match=r"^t/0: the chat template refuses the prompt: System role not supported; leave"
        r" --system out$",
    ):
        prompt_text(processor_of("gemma"), replace(question("gemma"), system="Be brief."))


@pytest.mark.parametrize(
    ("template", "changed", "says"),
    [
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", {"system": "Be brief."},
         "leaves out the system prompt; leave --system out"),
        ("{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}", {"examples": 1},
         "leaves out a few-shot example; give --no-fewshot-as-multiturn"),
        ("{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}{{ messages[0].content }}",
         {"examples": 1}, "refuses the prompt: one turn; give --no-fewshot-as-multiturn"),
        ("{{ messages.0.nothing.more }}", {}, "'dict object' has no attribute 'nothing'; .*chat_template=FILE"),
        ("{{ messages[-1].content | replace('<image>', '') }}", {"system": "Be brief."}, "out the system prompt"),
    ],
)  # fmt: skip
def test_a_template_that_fails_or_leaves_something_out_is_one_line(template, changed, says):
    processor = tiny_models.loaded("llava").processor
    processor.chat_template = template
    asked = tiny_models.sample(0, "What is it?")
    if "examples" in changed:
        changed = {"examples": (replace(asked, prompt="And this?", target="a ring"),)}
    with pytest.raises(SampleError, match=says) as caught:
        prompt_text(processor, replace(asked, **changed))
    assert "\n" not in str(caught.value)


def test_placeholders_that_do_not_match_the_images_are_refused():
    processor = tiny_models.loaded("llava").processor
    texts = "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}"
    processor.chat_template = "{{ '<image>' }}" + texts
    asked = tiny_models.sample(0, "What is it?")
    assert prompt_text(processor, asked) == "<image>What is it?"
    with pytest.raises(SampleError, match="an image: it writes 1 placeholders for 2 images"):
        prompt_text(processor, replace(asked, examples=(replace(asked, prompt="And this?", target="a ring"),)))


def test_without_a_template_texts_are_joined_as_lm_eval_joins_them():
    processor = tiny_models.loaded("llava").processor
    processor.chat_template = None
    asked = tiny_models.sample(0, "What is it?")
    example = replace(asked, prompt="<image>\nAnd this?", target="a ring", answer="ring")
    for multiturn in (True, False):
        sample = replace(asked, system="Be brief.", examples=(example,), multiturn=multiturn)
        assert prompt_text(processor, sample) == "Be brief.\n\n<image>And this? ring\n\n<image>What is it?"


def test_reasoning_is_read_off_the_template():
    found = {name: reasons(processor_of(name), {}) for name in TEMPLATES}
    assert {name for name, does in found.items() if does} >= {"glm4_5v", "qwen3_5"}
    assert not any(found[name] for name in ("gemma3", "idefics3", "llava_next", "qwen2_5_vl", "qwen3_vl", "smolvlm"))
    assert not any(reasons(processor_of(name), {"enable_thinking": off}) for name, off in THINKING.items())
    assert reasons(processor_of("qwen3_5"), {"enable_thinking": True})


def test_variables_that_a_template_does_not_have_are_refused():
    check_template_args(processor_of("qwen3_5"), {"enable_thinking": False}, "hf")
    with pytest.raises(
        AdapterError, match=r"--chat-template-args enable_thinkin: .* no such variable; it has .*enable_thinking"
    ):
        check_template_args(processor_of("qwen3_5"), {"enable_thinkin": False}, "hf")
    for name in ("messages", "add_generation_prompt", "bos_token"):
        with pytest.raises(AdapterError, match="no such variable"):
            check_template_args(processor_of("gemma3"), {name: 1}, "hf")
    bare = SimpleNamespace(chat_template=None)
    with pytest.raises(AdapterError, match="no chat template; leave it out"):
        check_template_args(bare, {"enable_thinking": True}, "hf")


def test_a_question_about_a_tag_opens_no_reasoning():
    asked = replace(question("qwen3_vl"), prompt="What does <think> mean in HTML?")
    assert opening_of_answer(asked, prompt_text(processor_of("qwen3_vl"), asked)) == ""
    asked = question("qwen3_5")
    assert opening_of_answer(asked, prompt_text(processor_of("qwen3_5"), asked)) == "<think>"
    off = prompt_text(processor_of("qwen3_5"), asked, {"enable_thinking": False})
    assert opening_of_answer(asked, off) == ""


class Words:
    """A tokenizer of words with a space before each; the first three are special."""

    names = ("</s>", "[THINK]", "[/THINK]", " so", " yes", " no", "</think>", " stop")
    all_special_ids = (0, 1, 2)

    def convert_ids_to_tokens(self, i):
        return self.names[i]

    def decode(self, row, skip_special_tokens):
        return "".join(self.names[i] for i in row if not (skip_special_tokens and i in self.all_special_ids))


@pytest.mark.parametrize(
    ("tokens", "opening", "until", "expected"),
    [
        ([4], "", (), ("yes", "stop", 2, None)),
        ([4] * 8, "", (), (" ".join(["yes"] * 8), "length", 8, None)),
        ([3, 3, 6, 4], "<think>", (), ("<think>\nso so</think> yes", "stop", 5, 3)),
        ([3, 3, 4], "<think>", (), ("<think>\nso so yes", "stop", 4, 4)),
        ([3] * 8, "<think>", (), ("<think>\n" + " ".join(["so"] * 8), "length", 8, 8)),
        ([1, 3, 2, 4], "", (), ("[THINK] so[/THINK] yes", "stop", 5, 3)),
        ([4, 7], "", (" stop",), ("yes", "stop", 2, None)),
        ([7], "", (" stop",), ("", "stop", 1, None)),
        ([4, 5], "", ("",), ("yes no", "stop", 3, None)),
    ],
)
def test_the_text_of_an_answer_and_its_tokens(tokens, opening, until, expected):
    found = read_answer(Words(), tokens, 8, until, opening)
    assert (found.text, found.finish_reason, found.tokens_out, found.reasoning_tokens) == expected


if __name__ == "__main__":
    for template in TEMPLATES:
        prompts = {title: prompt_text(processor_of(template), *chat) for title, chat in chats(template).items()}
        text = "".join(f"##### {title}\n{prompt}\n" for title, prompt in prompts.items())
        (DATA / f"{template}.txt").write_text(text, encoding="utf-8")
