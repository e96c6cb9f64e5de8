"""The text of generated tokens, with the marks that tell reasoning from the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_REASONING = re.compile(r"think|thought|reason|channel|message|unused9[45]", re.IGNORECASE)
"""What the special tokens around reasoning have in their names: `[THINK]`, `<|channel|>`."""


def decode_answers(tokenizer: Any, rows: Sequence[Sequence[int]]) -> list[str]:
    """Return the text of each row of token ids, without special tokens and space around it.

    The special tokens around reasoning stay, since without them nobody could tell where the answer begins.
    """
    special = set(tokenizer.all_special_ids)
    marks = {i for i in special if _REASONING.search(tokenizer.convert_ids_to_tokens(i) or "")}
    texts: list[str] = tokenizer.batch_decode(list(rows), skip_special_tokens=True)
    for number, row in enumerate(rows):
        if marks.intersection(row):
            kept = [token for token in row if token in marks or token not in special]
            texts[number] = tokenizer.decode(kept, skip_special_tokens=False)
    return [text.strip() for text in texts]


def finish_reason(tokens: Sequence[int], max_new_tokens: int) -> str:
    """Return why a greedy answer ended: `length` if no end token came within `max_new_tokens`, else `stop`.

    Args:
        tokens: the new tokens, without the end token.
        max_new_tokens: how many there could be, the end token included.
    """
    return "length" if len(tokens) >= max_new_tokens else "stop"
