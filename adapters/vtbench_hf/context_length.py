"""The length of a model's context, and the prompts that do not fit into it.

A prompt that is too long fails as a sample: a model that is given one answers noise, and one that is given a part of it
answers another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtbench.errors import SampleError
from vtbench.types import Sample


def context_length(config: Any) -> int | None:
    """Return the number of positions that a model was made for; None where its config sets no limit (T5).

    Scaled rotary positions reach further than `max_position_embeddings` where that is the length before scaling.
    """
    text = config.get_text_config()
    length = getattr(text, "max_position_embeddings", None)
    if not isinstance(length, int) or length < 1:
        return None
    scaling = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    factor, original = scaling.get("factor"), scaling.get("original_max_position_embeddings")
    if isinstance(factor, int | float) and factor > 1 and original in (None, length):
        return int(length * factor)
    return length


def check_prompt_lengths(samples: Sequence[Sample], lengths: Sequence[int], limit: int | None) -> None:
    """Refuse prompts that leave no room for an answer.

    Args:
        samples: a batch.
        lengths: of their prompts in tokens, visual tokens included.
        limit: that of `context_length`.

    Raises:
        SampleError: a prompt is too long. A batch is then asked sample by sample, so that this one fails alone.
    """
    for sample, length in zip(samples, lengths, strict=True):
        if limit is not None and length >= limit:
            raise SampleError(
                f"{sample.id}: its prompt has {length:,} tokens with the image's, and the model's context {limit:,};"
                " shorten the question, or take a smaller image"
            )


ROOM = 256
"""A batch is not taken apart for answers that are longer than this."""


def answer_room(lengths: Sequence[int], max_new_tokens: int, limit: int | None) -> int:
    """Return how many tokens an answer may have: `max_new_tokens`, or what the longest prompt leaves in the context.

    Raises:
        SampleError: the longest prompt leaves little for the others' answers; asked one by one, each has its own room.
    """
    room = max_new_tokens if limit is None else min(max_new_tokens, limit - max(lengths))
    if room < min(max_new_tokens, ROOM) and len(set(lengths)) > 1:
        raise SampleError(f"a prompt of {max(lengths):,} tokens leaves no room for {max_new_tokens} more in {limit:,}")
    return room
