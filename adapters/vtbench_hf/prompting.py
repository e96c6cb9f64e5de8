"""Turn a sample's question into what the model reads: prompt text with placeholders, and the tokens of its choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtbench.types import Sample

_ANCHOR = 4
"""How many of the prompt's last tokens a choice is tokenised behind: enough for what a tokenizer does at the seam."""


def prompt_text(processor: Any, sample: Sample) -> str:
    """Return the prompt with the processor's chat template; without one, its image placeholders and the question."""
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"} for _ in sample.images] + [{"type": "text", "text": sample.prompt}]
        text: str = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        return text
    # Processors of query-token models write the placeholders themselves.
    placeholder = "" if hasattr(processor, "num_query_tokens") else str(getattr(processor, "image_token", "") or "")
    return placeholder * len(sample.images) + sample.prompt


def adds_special_tokens(tokenizer: Any, text: str) -> bool:
    """Whether the tokenizer must add its special tokens: not where the template wrote the first one already."""
    return not (tokenizer.bos_token and text.startswith(tokenizer.bos_token))


class ChoiceTokens:
    """Tokenises choices as the model would see them behind a prompt.

    Where the prompt ends in whitespace or a special token the choice follows as it is, else after a space: LLaVA's
    `ASSISTANT:` is followed by ` yes`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
        self._known: dict[tuple[tuple[int, ...], str], list[int]] = {}

    def __call__(self, prompt_ids: Sequence[int], choice: str) -> list[int]:
        """Return the choice's tokens behind a prompt.

        Args:
            prompt_ids: the prompt's tokens, without padding.
            choice: one of the sample's choices.
        """
        anchor = tuple(prompt_ids[-_ANCHOR:])
        key = (anchor, choice)
        if key not in self._known:
            self._known[key] = self._tokenise(anchor, choice)
        return self._known[key]

    def _tokenise(self, anchor: tuple[int, ...], choice: str) -> list[int]:
        last = self._tokenizer.decode(list(anchor[-1:]))
        open_ended = not anchor or anchor[-1] in self._special or not last or last[-1].isspace()
        text = choice if open_ended else " " + choice
        head = self._tokenizer.decode(list(anchor))
        head_ids = self._encode(head)
        ids = self._encode(head + text)
        # A tokenizer that treats the start of a text specially (sentencepiece) would tokenise the choice alone in
        # another way than behind the prompt; one that merges across the seam leaves the choice no tokens of its own.
        in_place = ids[: len(head_ids)] == head_ids and len(ids) > len(head_ids)
        return ids[len(head_ids) :] if in_place else self._encode(text)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids
