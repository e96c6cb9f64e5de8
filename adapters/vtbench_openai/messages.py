"""What an endpoint is asked: a sample in, the fields of a chat completion request out."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from PIL import Image

from vtbench.types import Sample
from vtbench_openai.settings import Settings


def picture_url(image: Image.Image) -> str:
    """Return a picture as a data URL: PNG, so that the model sees the very pixels."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def question(sample: Sample) -> dict[str, Any]:
    """Return the user's message: the pictures in their order, then the bare question."""
    pictures = [{"type": "image_url", "image_url": {"url": picture_url(image)}} for image in sample.images]
    return {"role": "user", "content": [*pictures, {"type": "text", "text": sample.prompt}]}


def generation(settings: Settings, asked: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return the request for a greedy answer to a message."""
    return _fields(settings, asked, max_tokens=max_tokens)


def scoring(settings: Settings, asked: dict[str, Any], choice: str | None = None) -> dict[str, Any]:
    """Return the request for the log-probabilities of a prompt's tokens, as vLLM's server takes it.

    Args:
        settings: the endpoint's.
        asked: the user's message.
        choice: how the assistant's answer begins; None: the prompt ends where it would begin.
    """
    fields: dict[str, Any] = {"max_tokens": 1, "prompt_logprobs": 0}
    if choice is None:
        return _fields(settings, asked, **fields)
    fields |= {"add_generation_prompt": False, "continue_final_message": True}
    return _fields(settings, asked, {"role": "assistant", "content": choice}, **fields)


def _fields(settings: Settings, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    every = {"model": settings.model, "messages": list(messages), "temperature": 0, **fields, **settings.extra}
    return {name: value for name, value in every.items() if value is not None}
