"""The JSON fields of a chat completion request, made from a sample."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image

from vtbench.adapter import Generation
from vtbench.types import Sample
from vtbench_openai.arguments import EndpointArguments


def data_url(image: Image.Image) -> str:
    """Return an image as a data URL in PNG, which is lossless: the model gets the pixels that were rendered."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def chat_messages(sample: Sample) -> list[dict[str, Any]]:
    """Return the messages of a sample's chat, without any addition.

    The user's content is a list of parts in their order, images as data URLs; that of the system and of the assistant
    is a text, which every server takes.
    """
    return [
        {
            "role": message.role,
            "content": [_part(part) for part in message.content]
            if message.role == "user"
            else "".join(map(str, message.content)),
        }
        for message in sample.messages
    ]


def neutral_question() -> list[dict[str, Any]]:
    """Return the messages of a question that every model may answer, about a grey image."""
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    return chat_messages(Sample("probe", 0, (grey,), "Is it grey?", "yes", ("yes",)))


def generation_request(
    settings: EndpointArguments, messages: Sequence[dict[str, Any]], max_tokens: int, sample: Sample | None = None
) -> dict[str, Any]:
    """Return the fields that request an answer.

    Args:
        settings: of the endpoint.
        messages: of the chat.
        max_tokens: of the answer.
        sample: whose answer is drawn as `--gen` says, with its own seed; None: a greedy answer.
    """
    sampling = {} if sample is None else _sampling(settings.generation or Generation(), sample)
    return _fields(settings, *messages, **{"max_tokens": max_tokens, **sampling})


def scoring_request(
    settings: EndpointArguments, messages: Sequence[dict[str, Any]], choice: str | None = None
) -> dict[str, Any]:
    """Return the fields that request the log-probabilities of the prompt's tokens, in the form of vLLM's server.

    Args:
        settings: of the endpoint.
        messages: of the chat.
        choice: prefilled as the beginning of the assistant's answer. With None, the prompt ends before the answer.
    """
    fields: dict[str, Any] = {"max_tokens": 1, "prompt_logprobs": 0}
    if choice is None:
        return _fields(settings, *messages, **fields)
    fields |= {"add_generation_prompt": False, "continue_final_message": True}
    return _fields(settings, *messages, {"role": "assistant", "content": choice}, **fields)


def _fields(settings: EndpointArguments, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    extra = settings.extra or {}
    if settings.chat_template_args:  # as the servers of vLLM and SGLang take them
        fields = {"chat_template_kwargs": dict(settings.chat_template_args), **fields}
    merged = {"model": settings.model or "", "messages": list(messages), "temperature": 0, **fields, **extra}
    return {name: value for name, value in merged.items() if value is not None}


def _part(part: Image.Image | str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": data_url(part)}}


def _sampling(settings: Generation, sample: Sample) -> dict[str, Any]:
    """Return the fields of an answer's sampling; `top_k` is an extension of vLLM's server."""
    fields: dict[str, Any] = {"stop": list(settings.until)} if settings.until else {}
    if not settings.greedy:
        fields |= {"temperature": settings.temperature, "seed": settings.seed_of(sample)}
        fields |= {"top_p": settings.top_p} if settings.top_p < 1 else {}
        fields |= {"top_k": settings.top_k} if settings.top_k is not None else {}
    return fields
