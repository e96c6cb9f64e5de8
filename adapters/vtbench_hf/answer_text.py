"""The text of generated tokens, with the marks that tell reasoning from the answer, and why it ended."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.scoring.reasoning import split_reasoning

_REASONING = re.compile(r"think|thought|reason|channel|message|unused9[45]", re.IGNORECASE)
"""What the special tokens around reasoning have in their names: `[THINK]`, `<|channel|>`."""


@dataclass(frozen=True, slots=True)
class AnswerText:
    """What is known of an answer's text."""

    text: str
    """Without special tokens and space around it; after the tag that opened its reasoning, where the prompt has it."""
    finish_reason: str
    """`length` if neither an end token nor a stop text came in time, else `stop`."""
    tokens_out: int
    """New tokens, with the end token."""
    reasoning_tokens: int | None
    """Those up to the end of the reasoning; None where there is none."""


def read_answer(
    tokenizer: Any, tokens: Sequence[int], max_new_tokens: int, until: Sequence[str] = (), opening: str = ""
) -> AnswerText:
    """Return the text of an answer's tokens, and how it ended.

    Args:
        tokenizer: of the model.
        tokens: the new tokens, without the end token.
        max_new_tokens: how many there could be, the end token included.
        until: texts at which the answer ends.
        opening: the tag with which the prompt opened a block of reasoning. An answer that ends within the block has no
            sign of it otherwise, and would be taken for an answer.
    """
    whole = answer_text(tokenizer, tokens)
    stop = first_stop(whole, until)
    said = whole if stop is None else whole[:stop]
    text = f"{opening}\n{said.strip()}" if opening else said.strip()
    count = len(tokens) if stop is not None else min(len(tokens) + 1, max_new_tokens)
    reason = "stop" if stop is not None else finish_reason(tokens, max_new_tokens)
    return AnswerText(text, reason, count, _reasoning_tokens(tokenizer, tokens, text, said, opening, count))


def answer_text(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Return the text of token ids without special tokens.

    The special tokens around reasoning stay, since without them nobody could tell where the answer begins.
    """
    special = set(tokenizer.all_special_ids)
    marks = {i for i in special.intersection(tokens) if _REASONING.search(tokenizer.convert_ids_to_tokens(i) or "")}
    if not marks:
        return str(tokenizer.decode(list(tokens), skip_special_tokens=True))
    kept = [token for token in tokens if token in marks or token not in special]
    return str(tokenizer.decode(kept, skip_special_tokens=False))


def first_stop(text: str, until: Sequence[str]) -> int | None:
    """Return where the first stop text begins; None where there is none.

    >>> first_stop("yes. no", [" no", "."])
    3
    """
    found = [at for stop in until if stop and (at := text.find(stop)) >= 0]
    return min(found, default=None)


def finish_reason(tokens: Sequence[int], max_new_tokens: int) -> str:
    """Return why an answer ended: `length` if no end token came within `max_new_tokens`, else `stop`.

    Args:
        tokens: the new tokens, without the end token.
        max_new_tokens: how many there could be, the end token included.
    """
    return "length" if len(tokens) >= max_new_tokens else "stop"


def _reasoning_tokens(
    tokenizer: Any, tokens: Sequence[int], text: str, said: str, opening: str, count: int
) -> int | None:
    reasoning, answer = split_reasoning(text)
    if answer is None:
        return count
    if not reasoning:
        return None
    # The text is stripped, and begins with the opening tag and a line break where the prompt has them.
    end = len(reasoning) - (len(opening) + 1 if opening else 0) + len(said) - len(said.lstrip())
    return bisect_left(range(len(tokens)), end, key=lambda n: len(answer_text(tokenizer, tokens[:n])))
