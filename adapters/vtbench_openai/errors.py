"""Which error an HTTP response of status 300 or more stands for, and its one-line message."""

from __future__ import annotations

import json
from typing import Any

from vtbench.errors import AdapterError, SampleError, VtbenchError
from vtbench_openai.arguments import EndpointArguments

_MESSAGE_LENGTH = 200


def response_error(settings: EndpointArguments, status: int, url: str, body: str, *, key_sent: bool) -> VtbenchError:
    """Return the error that a response stands for.

    What concerns every request (the key, the account, the URL, the model) is an `AdapterError` and ends the run; any
    other refusal is a `SampleError` and concerns one sample.

    Args:
        settings: of the endpoint.
        status: HTTP status, 300 or more.
        url: that was requested.
        body: of the response.
        key_sent: whether the request carried an API key.
    """
    if status in (401, 403):  # the body is left out: it may hold a part of the key
        return AdapterError(f"model 'openai': {settings.base_url} {_key_problem(settings, status, key_sent)}")
    text = error_message(body)
    if status == 402 or is_out_of_quota(body):
        return AdapterError(f"model 'openai': the account at {settings.base_url} cannot pay ({status}): {text}")
    if status == 404:
        return AdapterError(
            f"model 'openai': {url} gives 404: {text}; base_url usually ends in /v1, and the endpoint must serve"
            f" model={settings.model}"
        )
    if status < 400:
        return AdapterError(f"model 'openai': {url} redirects ({status}); give the final URL as base_url=")
    return SampleError(f"the endpoint refuses the request ({status}): {text}")


def error_message(body: str) -> str:
    """Return the message in the body of an error response, on one line."""
    found: Any = body
    try:
        found = json.loads(body)
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
    except ValueError:
        pass
    text = " ".join((found if isinstance(found, str) else json.dumps(found)).split()) or "no message"
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 3] + "..."


def is_out_of_quota(body: str) -> bool:
    """Whether a response of status 429 says that the account is empty, so that waiting does not help."""
    return "insufficient_quota" in body


def _key_problem(settings: EndpointArguments, status: int, key_sent: bool) -> str:
    if not key_sent:
        return f"requires a key ({status}): set {settings.key_env}, or name another variable with key_env="
    return f"refuses the key in {settings.key_env} ({status}): it is wrong, or not valid for {settings.model or 'this'}"
