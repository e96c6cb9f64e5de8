"""The prompt text with image placeholders that a model reads, and the token ids of answer choices behind a prompt.

With a chat template the prompt is the chat of `Sample.messages`. Without one its texts are joined as lm-eval joins
them: the system prompt and an empty line, each example's question, a space, its answer and an empty line, the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_hf.chat_rendering import ChatRenderer

if TYPE_CHECKING:
    from PIL.Image import Image

_CONTEXT = 4
"""Number of the prompt's last tokens with which a choice is tokenized: enough for merges at the boundary."""


_NAME_OF_PLACEHOLDER = re.compile(r"image|img|vision|video|audio|patch|<(?:row|col)_", re.IGNORECASE)
"""What special tokens for images have in their names: `<image>`, `<|image_pad|>`, `<fake_token_around_image>`."""
_PLACES_IMAGES = frozenset({"Florence2Processor"})
"""Processors that have an image token and write it themselves, whether or not the text has it."""
_patterns: WeakKeyDictionary[Any, re.Pattern[str]] = WeakKeyDictionary()
"""The pattern of each processor's placeholders."""
_renderers: WeakKeyDictionary[Any, dict[str, ChatRenderer]] = WeakKeyDictionary()
"""What was found out about each processor's chat templates."""


def prompt_text(processor: Any, sample: Sample, template_args: Mapping[str, Any] | None = None) -> str:
    """Return the prompt in the processor's chat template; without one, image placeholders and texts joined.

    Args:
        processor: of transformers.
        sample: with what stands before its question.
        template_args: further variables of the chat template (`enable_thinking`).

    Raises:
        SampleError: there is no question but placeholders, or the chat template refuses or leaves out a message.
    """
    if getattr(processor, "chat_template", None):
        return _renderer(processor).render(_without_placeholders(processor, sample), template_args or {})
    token = placeholder(processor)
    if sample.interleaved and not token:
        raise SampleError(
            f"{sample.id}: this model's images stand before the question; write `number_images` under `data`"
        )
    return "".join(part if isinstance(part, str) else token for part in prompt_parts(processor, sample))


def prompt_parts(processor: Any, sample: Sample) -> list[Image | str]:
    """Return texts and images in their order, as a prompt without a chat template has them.

    Raises:
        SampleError: there is no question but placeholders.
    """
    joined = replace(_without_placeholders(processor, sample), multiturn=False).messages
    parts: list[Image | str] = []
    for message in joined:
        parts += [f"{text}\n\n" for text in message.content] if message.role == "system" else message.content
    return parts


def prompt_images(sample: Sample) -> list[Image]:
    """Return the images of a sample's whole chat in their order, those of its examples first."""
    return [*(image for example in sample.examples for image in example.images), *sample.images]


def without_context(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples as bare questions: the samples themselves where nothing stands before them."""
    if not any(sample.system or sample.examples for sample in samples):
        return samples
    return [replace(sample, system="", examples=()) for sample in samples]


def takes_several_images(processor: Any, template_args: Mapping[str, Any] | None = None) -> bool:
    """Return whether prompts may have several images: each has a placeholder of its own, where it stands."""
    token = placeholder(processor)
    if not token:
        return False
    example = Sample("example", 0, (None,), "one", "two")  # type: ignore[arg-type]
    asked = Sample("asked", 0, (None,), "three", "", examples=(example,))  # type: ignore[arg-type]
    for sample in (asked, replace(asked, multiturn=False)):
        try:
            text = prompt_text(processor, sample, template_args)
        except SampleError:
            continue
        if text.count(token) == 2 and "one" in text.rpartition(token)[0].partition(token)[2]:
            return True
    return False


def question_text(processor: Any, sample: Sample) -> str:
    """Return a sample's question without placeholders for images.

    Many data sets write `<image>` into their questions, and some texts happen to hold a special token of a model. The
    adapter places the images itself: a placeholder more would take the visual tokens of another sample.

    Raises:
        SampleError: nothing else is in the question.
    """
    text = _clean(processor, sample.prompt)
    if text == sample.prompt:
        return text
    if not text.strip():
        raise SampleError(f"{sample.id}: the question {sample.prompt[:40]!r} is nothing but placeholders for images")
    return text.strip()


def placeholder(processor: Any) -> str:
    """Return what stands for an image in a prompt; empty where the processor places the image by itself."""
    # The processors of query-token models (Q-Former) and those named here write the placeholders themselves.
    if hasattr(processor, "num_query_tokens") or type(processor).__name__ in _PLACES_IMAGES:
        return ""
    token = getattr(processor, "image_placeholder_token", None) or getattr(processor, "image_token", None)
    return str(token or "")


def _without_placeholders(processor: Any, sample: Sample) -> Sample:
    """Return the sample with its texts, and those before it, without placeholders for images."""
    question = question_text(processor, sample)
    if question == sample.prompt and not sample.system and not sample.examples:
        return sample
    examples = tuple(
        replace(one, prompt=question_text(processor, one), answer=_clean(processor, one.answer or one.target))
        for one in sample.examples
    )
    return replace(sample, prompt=question, system=_clean(processor, sample.system), examples=examples)


def _clean(processor: Any, text: str) -> str:
    if "<" not in text and "[" not in text and "|" not in text:
        return text
    return _placeholder_pattern(processor).sub("", text)


def _renderer(processor: Any) -> ChatRenderer:
    known = _renderers.setdefault(processor, {})
    template = str(processor.chat_template)
    if template not in known:
        known[template] = ChatRenderer(processor, placeholder(processor))
    return known[template]


def _placeholder_pattern(processor: Any) -> re.Pattern[str]:
    if processor not in _patterns:
        named = {
            str(value)
            for part in (processor, processor.tokenizer)
            for name, value in vars(part).items()
            if name.endswith("token") and _NAME_OF_PLACEHOLDER.search(name) and value
        }
        special = {str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special}
        found = {"<image>", *named, *filter(_NAME_OF_PLACEHOLDER.search, special)}
        longest_first = sorted(map(re.escape, found), key=len, reverse=True)
        _patterns[processor] = re.compile(rf"(?:{'|'.join(longest_first)})[ \t]*\n?")
    return _patterns[processor]


def adds_special_tokens(tokenizer: Any, text: str) -> bool:
    """Return whether the tokenizer must add its special tokens: not where the template has written the first one."""
    return not (tokenizer.bos_token and text.startswith(tokenizer.bos_token))


class ChoiceTokenizer:
    """Tokenizes answer choices as the model would see them behind a prompt.

    Behind whitespace or a special token a choice stands as it is, else behind a space: LLaVA's `ASSISTANT:` is followed
    by ` yes`.

    Args:
        tokenizer: the model's, of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
        self._cache: dict[tuple[tuple[int, ...], str], list[int]] = {}

    def __call__(self, prompt_ids: Sequence[int], choice: str) -> list[int]:
        """Return the token ids of a choice behind a prompt.

        Args:
            prompt_ids: the prompt's token ids, without padding.
            choice: one of the sample's choices.
        """
        context = tuple(prompt_ids[-_CONTEXT:])
        key = (context, choice)
        if key not in self._cache:
            self._cache[key] = self._tokenize(context, choice)
        return self._cache[key]

    def _tokenize(self, context: tuple[int, ...], choice: str) -> list[int]:
        last = self._tokenizer.decode(list(context[-1:]))
        needs_no_space = not context or context[-1] in self._special or not last or last[-1].isspace()
        text = choice if needs_no_space else " " + choice
        head = self._tokenizer.decode(list(context))
        head_ids = self._encode(head)
        ids = self._encode(head + text)
        # A tokenizer that treats the start of a text specially (sentencepiece) gives other tokens for the choice alone
        # than behind the prompt. One that merges across the boundary leaves the choice no tokens of its own there.
        separable = ids[: len(head_ids)] == head_ids and len(ids) > len(head_ids)
        return ids[len(head_ids) :] if separable else self._encode(text)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids
