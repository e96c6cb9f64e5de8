"""The prompt text with image placeholders that a model reads, and the token ids of answer choices behind a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtbench.types import Sample

_CONTEXT = 4
"""Number of the prompt's last tokens with which a choice is tokenized: enough for merges at the boundary."""


def prompt_text(processor: Any, sample: Sample) -> str:
    """Return the prompt with the processor's chat template; without one, its image placeholders and the question."""
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"} for _ in sample.images] + [{"type": "text", "text": sample.prompt}]
        text: str = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        return text
    # The processors of query-token models (Q-Former) write the placeholders themselves.
    placeholder = "" if hasattr(processor, "num_query_tokens") else str(getattr(processor, "image_token", "") or "")
    return placeholder * len(sample.images) + sample.prompt


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
