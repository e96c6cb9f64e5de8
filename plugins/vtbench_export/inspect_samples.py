"""Stored records of a run as samples of an Inspect log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai.log import EvalError, EvalSample, condense_sample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageUser,
    Content,
    ContentImage,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    StopReason,
)
from inspect_ai.scorer import CORRECT, INCORRECT, Score

from vtbench.runs.provenance import strict
from vtbench.types import Observation, Record

_STOP: Mapping[str | None, StopReason] = {"stop": "stop", "length": "max_tokens"}
_IMAGE = "<image>"
"""In a stored prompt, the place of an image among the words."""
_METADATA = (
    "index", "kind", "cluster", "answer_type", "scene_hash", "image_sha256", "question", "labels", "synonyms",
    "rendered_prompt", "logprobs", "logprob_tokens", "visual_tokens_in", "unobserved", "transient", "meta",
)  # fmt: skip
"""Fields of a record that a sample of Inspect has no place for. Empty ones are left out."""


def to_sample(record: Record, images: Sequence[str], model: str) -> EvalSample:
    """Return a record as a sample.

    Args:
        record: of a run, without arrays.
        images: data URIs of its images; empty where they cannot be shown.
        model: name of the model.
    """
    # Identifiers follow from the record: left to itself, Inspect draws them at random.
    name = hashlib.sha256(f"{record.task}/{record.id}/{record.repeat}".encode()).hexdigest()[:22]
    user = ChatMessageUser(id=f"{name}-user", content=_content(record.prompt, images), source="input")
    output = ModelOutput(model=model)
    usage = _usage(record)
    if record.error is None:
        answer = ChatMessageAssistant(id=f"{name}-model", content=_answer(record), model=model, source="generate")
        stop = _STOP.get(record.finish_reason, "unknown")
        output.choices = [ChatCompletionChoice(message=answer, stop_reason=stop)]
        output.completion = record.output or ""
        output.usage, output.time = usage, record.seconds
    facts = {key: value for key in _METADATA if (value := getattr(record, key)) not in (None, "", (), {}, False)}
    sample = EvalSample(
        id=record.id,
        epoch=record.repeat + 1,
        uuid=name,
        input=[user],
        choices=list(record.choices) or None,
        target=[record.target, *record.references] if record.references else record.target,
        messages=[user, *(choice.message for choice in output.choices)],
        output=output,
        scores={name: score for name, seen in record.scores.items() if (score := to_score(seen)) is not None},
        metadata=strict(facts),
        model_usage={model: usage} if usage else {},
        total_time=record.seconds,
        # the viewer shows the traceback, which a run does not store
        error=EvalError(message=e, traceback=e, traceback_ansi=e) if (e := record.error) is not None else None,
    )
    return condense_sample(sample)  # each image once, as an attachment


def to_score(seen: Observation) -> Score | None:
    """Return what a metric observed of one answer as a score; None if it observed no number.

    An observation that says whether the answer is correct is `C` or `I`, as Inspect's own scorers write it, or the part
    of 1 in between. Of others the value is all their numbers.
    """
    facts = strict(dict(seen))
    numbers = {key: value for key, value in facts.items() if isinstance(value, (int, float))}
    if not numbers:
        return None
    value: Any = numbers
    if "correct" in numbers:
        share = numbers["correct"]
        value = CORRECT if share == 1 else INCORRECT if share == 0 else share
    answer = facts.get("answer")
    return Score(value=value, answer=answer if isinstance(answer, str) else None, metadata=facts)


def _content(prompt: str, images: Sequence[str]) -> list[Content]:
    """Return images and words in the order in which the model was shown them."""
    shown = [ContentImage(image=uri) for uri in images]
    pieces = prompt.split(_IMAGE)
    if not images or len(pieces) != len(images) + 1:
        return [*shown, ContentText(text=prompt)]
    parts: list[Content] = [ContentText(text=pieces[0])] if pieces[0] else []
    for image, words in zip(shown, pieces[1:], strict=True):
        parts += [image, ContentText(text=words)] if words else [image]
    return parts


def _answer(record: Record) -> str | list[Content]:
    text = record.output or ""
    return [ContentReasoning(reasoning=record.reasoning), ContentText(text=text)] if record.reasoning else text


def _usage(record: Record) -> ModelUsage | None:
    if record.tokens_in is None and record.tokens_out is None:
        return None
    read, written = record.tokens_in or 0, record.tokens_out or 0
    return ModelUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        reasoning_tokens=record.reasoning_tokens,
        total_cost=record.cost,
    )
