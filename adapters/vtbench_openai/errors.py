"""Why a request has no answer: a problem of the sample, of all samples or of the moment; and its one-line message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vtbench.console.terminal import visible
from vtbench.errors import AdapterError, SampleError, escaped
from vtbench_openai.arguments import EndpointArguments
from vtbench_openai.connection import Lost, Reply
from vtbench_openai.response import decode, parse_json
from vtbench_openai.retry import is_transient

_MESSAGE_LENGTH = 200
_FLAGGED = re.compile(
    r"moderat|flagged|content.?(policy|filter|management)|safety|inappropriate|harmful|responsible.?ai", re.IGNORECASE
)
_CODES = (
    (re.compile(r"insufficient.?quota|billing|payment", re.IGNORECASE), 402),
    (re.compile(r"rate.?limit|too.?many|throttl|resource.?exhausted", re.IGNORECASE), 429),
    (
        re.compile(r"overload|unavailable|time.?d?.?out|server.?error|internal|bad.?gateway|upstream", re.IGNORECASE),
        503,
    ),
    (re.compile(r"authenticat|unauthori[sz]ed|invalid.?api.?key", re.IGNORECASE), 401),
)
"""Statuses of errors that come with words and without a number."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request has no answer."""

    kind: Literal["sample", "access", "account", "busy", "down", "unreachable", "timeout"]
    """`sample`: the request is refused. `access`: this may concern every request (the key, the URL, the model).
    `account`: it does. All others may pass: too many requests, a server's fault, no connection, no answer in time."""
    message: str
    status: int = 0
    """HTTP status, also one that the body of a response names; 0 without a response."""
    retry_after: str | None = None

    @property
    def passing(self) -> bool:
        """Whether the same request may be answered later."""
        return self.kind in ("busy", "down", "unreachable", "timeout")


def lost_problem(error: Lost) -> Problem:
    """Return the problem of a request without a response."""
    if error.oversized:
        return Problem("sample", str(error))
    return Problem("unreachable" if error.unreachable else "timeout" if error.timed_out else "down", str(error))


def problem_in(reply: Reply, hide: Callable[[str], str]) -> Problem | Mapping[str, Any]:
    """Return the JSON object of a response with an answer; the problem of one without.

    Some gateways send errors with status 200: the status in the body counts. A web page, an empty body and an answer
    that the server broke off are faults of a server that may pass.

    Args:
        reply: the response.
        hide: removes secrets from a text.
    """
    if reply.status >= 300:
        text = decode(reply.body, reply.content_type, replace=True)
        return _problem(reply.status, text, hide, reply.retry_after)
    try:
        body = parse_json(reply.body, reply.content_type, hide)
    except SampleError as error:
        begin = reply.body.lstrip()[:1]
        if not begin or begin == b"<" or "text/html" in reply.content_type.lower():
            what = "a web page" if begin else "empty"
            return Problem("down", f"the response is no chat completion, but {what}", reply.status)
        return Problem("sample", str(error), reply.status)
    if not isinstance(body, Mapping):
        return Problem("sample", "the response is no chat completion: JSON, but no object", reply.status)
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    broken = first.get("finish_reason") == "error"
    if said := body.get("error") or first.get("error") or ("the server broke the answer off" if broken else None):
        status = _status_of(said, 502 if broken else 400)
        return _problem(status, json.dumps({"error": said}), hide, reply.retry_after)
    return body


def access_error(
    settings: EndpointArguments, problem: Problem, url: str, *, key_sent: bool, proxy: str = ""
) -> AdapterError:
    """Return the error that ends a run, for a problem of access or of the account.

    Args:
        settings: of the endpoint.
        problem: why no request can be answered.
        url: that was requested.
        key_sent: whether the request carried an API key.
        proxy: what a message says of a proxy in between, if there is one.
    """
    where, status = f"model 'openai': {settings.base_url}", problem.status
    said = problem.message.replace(" ", ": ", 1)
    if status in (401, 403):  # the server's message is left out: it may hold a part of the key
        return AdapterError(f"{where} {_key_problem(settings, status, key_sent)}{proxy}")
    if problem.kind == "account":
        return AdapterError(f"model 'openai': the account at {settings.base_url} cannot pay ({said})")
    if status == 407:
        return AdapterError(f"{where} is not reached ({said}){proxy}")
    if status == 404:
        return AdapterError(
            f"model 'openai': {url} gives {said}{proxy}; base_url usually ends in /v1, and the endpoint must"
            f" serve model={settings.model}"
        )
    return AdapterError(f"model 'openai': {url} redirects ({status}); give the final URL as base_url=")


def error_message(body: str) -> str:
    """Return the message in the body of an error response, on one line: of JSON its message, of a web page its text."""
    found: Any = body
    try:
        found = json.loads(body)
        for name in ("error", "message", "detail"):
            if isinstance(found, Mapping) and found.get(name):
                found = found[name]
        text = found if isinstance(found, str) else json.dumps(found)
    except (ValueError, RecursionError):
        text = re.sub(r"<(script|style|head)\b.*?</\1>|<[^>]*>", " ", body[:10_000], flags=re.DOTALL | re.IGNORECASE)
    text = visible(" ".join(escaped(text).split())) or "no message"
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 3] + "..."


def _problem(status: int, text: str, hide: Callable[[str], str], retry_after: str | None) -> Problem:
    message = f"{status} {error_message(hide(text))}"
    if status == 402 or (status == 429 and "insufficient_quota" in text):
        return Problem("account", message, status)
    if is_transient(status):
        return Problem("busy" if status in (425, 429) else "down", message, status, retry_after)
    if status in (401, 403, 404, 407) and not (status == 403 and _FLAGGED.search(text)):
        return Problem("access", message, status)
    return Problem("access" if status < 400 else "sample", message, status)


def _status_of(error: Any, default: int) -> int:
    """Return the HTTP status that an error in a body stands for."""
    if not isinstance(error, Mapping):
        return _status_in_words(str(error), default)
    for name in ("code", "status", "status_code"):
        try:
            if 300 <= (status := int(error.get(name) or 0)) < 600:
                return status
        except (ValueError, TypeError, OverflowError):
            continue
    words = " ".join(str(error[name]) for name in ("code", "type", "status", "message") if error.get(name))
    return _status_in_words(words, default)


def _status_in_words(words: str, default: int) -> int:
    return next((status for pattern, status in _CODES if pattern.search(words)), default)


def _key_problem(settings: EndpointArguments, status: int, key_sent: bool) -> str:
    if not key_sent:
        return f"requires a key ({status}): set {settings.key_env}, or name another variable with key_env="
    return f"refuses the key in {settings.key_env} ({status}): it is wrong, or not valid for {settings.model or 'this'}"
