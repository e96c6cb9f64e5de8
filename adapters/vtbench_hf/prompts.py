"""The prompt text with image placeholders that a model reads, and the token ids of answer choices behind a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from vtbench.errors import SampleError
from vtbench.types import Sample

_CONTEXT = 4
"""Number of the prompt's last tokens with which a choice is tokenized: enough for merges at the boundary."""


_PROBE = "vtbenchprobe"
_NAME_OF_PLACEHOLDER = re.compile(r"image|img|vision|video|audio|patch|<(?:row|col)_", re.IGNORECASE)
"""What special tokens for images have in their names: `<image>`, `<|image_pad|>`, `<fake_token_around_image>`."""
_known: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""What was found out about a processor."""


def prompt_text(processor: Any, sample: Sample) -> str:
    """Return the prompt with the processor's chat template; without one, its image placeholders and the question.

    Raises:
        SampleError: there is no question but placeholders.
    """
    question = question_text(processor, sample)
    if getattr(processor, "chat_template", None):
        return _templated(processor, len(sample.images), question)
    return _placeholders(processor, len(sample.images)) + question


def question_text(processor: Any, sample: Sample) -> str:
    """Return a sample's question without placeholders for images.

    Many data sets write `<image>` into their questions, and some texts happen to hold a special token of a model. The
    adapter places the images itself: a placeholder more would take the visual tokens of another sample.

    Raises:
        SampleError: nothing else is in the question.
    """
    if "<" not in sample.prompt and "[" not in sample.prompt and "|" not in sample.prompt:
        return sample.prompt
    text = _facts(processor)["placeholders"].sub("", sample.prompt)
    if text == sample.prompt:
        return text
    if not text.strip():
        raise SampleError(f"{sample.id}: the question {sample.prompt[:40]!r} is nothing but placeholders for images")
    return text.strip()


def _templated(processor: Any, images: int, question: str) -> str:
    """Return a question in the chat template.

    Templates of language models take a text where those of image-text models take a list of parts.
    """
    template = processor.chat_template
    facts = _facts(processor)
    if facts.get("template") != template:
        facts["template"], facts["takes_parts"] = template, _takes_parts(processor)
    content: Any = [{"type": "image"} for _ in range(images)] + [{"type": "text", "text": question}]
    if not facts["takes_parts"]:
        content = _placeholders(processor, images) + question
    text: str = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return text


def _takes_parts(processor: Any) -> bool:
    """Return whether the template writes the text of a list of parts, and a placeholder where the processor has one."""
    content = [{"type": "image"}, {"type": "text", "text": _PROBE}]
    try:
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    except Exception:  # a template that joins texts fails on a list in any way that Jinja has
        return False
    return _PROBE in text and f"'{_PROBE}'" not in text and _placeholders(processor, 1) in text


def _placeholders(processor: Any, images: int) -> str:
    # The processors of query-token models (Q-Former) write the placeholders themselves.
    placeholder = "" if hasattr(processor, "num_query_tokens") else str(getattr(processor, "image_token", "") or "")
    return placeholder * images


def _facts(processor: Any) -> dict[str, Any]:
    """Return what is known of a processor; at first the pattern of its placeholders."""
    if processor not in _known:
        named = {
            str(value)
            for part in (processor, processor.tokenizer)
            for name, value in vars(part).items()
            if name.endswith("token") and _NAME_OF_PLACEHOLDER.search(name) and value
        }
        special = {str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special}
        found = {"<image>", *named, *filter(_NAME_OF_PLACEHOLDER.search, special)}
        longest_first = sorted(map(re.escape, found), key=len, reverse=True)
        _known[processor] = {"placeholders": re.compile(rf"(?:{'|'.join(longest_first)})[ \t]*\n?")}
    return _known[processor]


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
