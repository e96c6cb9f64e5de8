"""The JSON fields of a chat completion request, made from a sample."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from PIL import Image

from vtbench.types import Sample
from vtbench_openai.arguments import EndpointArguments


def data_url(image: Image.Image) -> str:
    """Return an image as a data URL in PNG, which is lossless: the model gets the pixels that were rendered."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def user_message(sample: Sample) -> dict[str, Any]:
    """Return the user's message: the images in their order, then the prompt without any addition."""
    images = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in sample.images]
    return {"role": "user", "content": [*images, {"type": "text", "text": sample.prompt}]}


def neutral_question() -> dict[str, Any]:
    """Return the user's message of a question that every model may answer, about a grey image."""
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    return user_message(Sample("probe", 0, (grey,), "Is it grey?", "yes", ("yes",)))


def generation_request(settings: EndpointArguments, message: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return the fields that request a greedy answer to a message."""
    return _fields(settings, message, max_tokens=max_tokens)


def scoring_request(settings: EndpointArguments, message: dict[str, Any], choice: str | None = None) -> dict[str, Any]:
    """Return the fields that request the log-probabilities of the prompt's tokens, in the form of vLLM's server.

    Args:
        settings: of the endpoint.
        message: the user's.
        choice: prefilled as the beginning of the assistant's answer. With None, the prompt ends before the answer.
    """
    fields: dict[str, Any] = {"max_tokens": 1, "prompt_logprobs": 0}
    if choice is None:
        return _fields(settings, message, **fields)
    fields |= {"add_generation_prompt": False, "continue_final_message": True}
    return _fields(settings, message, {"role": "assistant", "content": choice}, **fields)


def _fields(settings: EndpointArguments, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    extra = settings.extra or {}
    merged = {"model": settings.model or "", "messages": list(messages), "temperature": 0, **fields, **extra}
    return {name: value for name, value in merged.items() if value is not None}
