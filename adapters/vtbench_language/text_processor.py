"""A language model's tokenizer behind the interface of an image-text model's processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import transformers


class TextProcessor:
    """Tokenizes prompts and renders chats; it takes no images.

    Args:
        tokenizer: of transformers, padding on the left.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.chat_template: str | None = None

    def __call__(self, images: None = None, text: Sequence[str] = (), **options: Any) -> transformers.BatchFeature:
        """Return `input_ids` and `attention_mask` of the texts."""
        # Some tokenizers of decoders make token types, which the models do not take.
        return transformers.BatchFeature(dict(self.tokenizer(list(text), return_token_type_ids=False, **options)))

    def apply_chat_template(self, chat: Sequence[Mapping[str, Any]], **variables: Any) -> str:
        """Return a chat as the text of a prompt."""
        text: str = self.tokenizer.apply_chat_template(
            chat, chat_template=self.chat_template, tokenize=False, **variables
        )
        return text
