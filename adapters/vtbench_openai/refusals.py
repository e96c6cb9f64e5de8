"""What went wrong, in one line: an endpoint's reply in, the error out that ends the sample or the run."""

from __future__ import annotations

import json
from typing import Any

from vtbench.errors import AdapterError, SampleError, VtbenchError
from vtbench_openai.settings import Settings

_LENGTH = 200


def refusal(settings: Settings, status: int, url: str, body: str) -> VtbenchError:
    """Return the error that a reply of status 300 or more stands for.

    What concerns every request (the key, the account, the address, the model) ends the run; anything else is the one
    sample's failure.
    """
    if status in (401, 403):  # what the endpoint says of it may hold a part of the key
        return AdapterError(f"model 'openai': {settings.base_url} {_about_key(settings, status)}")
    said = message(body)
    if status == 402 or is_out_of_quota(body):
        return AdapterError(f"model 'openai': the account at {settings.base_url} cannot pay ({status}): {said}")
    if status == 404:
        return AdapterError(
            f"model 'openai': {url} gives 404: {said}; base_url usually ends in /v1, and model={settings.model}"
            " must be one that it serves"
        )
    if status < 400:
        return AdapterError(f"model 'openai': {url} sends us elsewhere ({status}); give the final address as base_url=")
    return SampleError(f"the endpoint refuses the request ({status}): {said}")


def message(body: str) -> str:
    """Return what an error's body says, on one line."""
    said: Any = body
    try:
        said = json.loads(body)
        for name in ("error", "message", "detail"):
            if isinstance(said, dict) and said.get(name):
                said = said[name]
    except ValueError:
        pass
    text = " ".join((said if isinstance(said, str) else json.dumps(said)).split()) or "it says nothing"
    return text if len(text) <= _LENGTH else text[: _LENGTH - 3] + "..."


def is_out_of_quota(body: str) -> bool:
    """Whether a 429 says that the account is empty: waiting does not help."""
    return "insufficient_quota" in body


def _about_key(settings: Settings, status: int) -> str:
    if settings.key is None:
        return f"wants a key ({status}): set {settings.key_env}, or name another variable with key_env="
    return f"refuses the key in {settings.key_env} ({status}); it is wrong, or not for {settings.model or 'this'}"
