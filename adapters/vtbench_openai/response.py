"""A chat completion, read and checked: the answer, the reasoning before it, why it ends, and token counts.

The content of a message is a text or a list of parts (text, thinking, refusal), a count may be missing or no number,
and a reason to end has several names; `parse_response` brings them into one form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.console.terminal import visible
from vtbench.errors import SampleError, escaped

FINISHED = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
}
"""What servers call an answer that the model ended, and one that was cut."""
_DEEPEST = 8
"""Levels of parts within parts that are read."""
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Response:
    """The parts of a chat completion that are used."""

    text: str | None = None
    """The message's text; None if it has none."""
    refusal: str | None = None
    reasoning: str | None = None
    finish_reason: str | None = None
    """`stop`, `length`, the server's own word, or None."""
    tokens_in: int | None = None
    """Number of prompt tokens; None if the endpoint does not tell."""
    tokens_out: int | None = None
    """Number of completion tokens, the end token included; None if the endpoint does not tell."""
    reasoning_tokens: int | None = None
    """Those of them that are reasoning; None if the endpoint does not tell."""
    prompt_logprobs: tuple[Any, ...] = ()
    """An extension of vLLM: for each prompt token a mapping from token ids; None for the first token."""


def parse_json(body: bytes, content_type: str = "", hide: Callable[[str], str] = str) -> Any:
    """Parse a body as JSON: in UTF-8, UTF-16 or UTF-32, or else in the charset that the header declares.

    Args:
        body: the bytes.
        content_type: the header.
        hide: removes secrets from a text.

    Raises:
        SampleError: it is not JSON, is nested too deeply, or names a field twice with different values.
    """
    text = decode(body, content_type)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise SampleError("the response is no chat completion (it is nested too deeply)") from None
    except ValueError as error:
        if isinstance(error, _Repeated):
            raise SampleError(f"the response is no chat completion ({hide(str(error))})") from None
        raise SampleError(f"the response is no chat completion (it is not JSON); {_begin(text, hide)}") from None


def decode(body: bytes, content_type: str = "", *, replace: bool = False) -> str:
    """Decode a body. JSON is UTF-8, UTF-16 or UTF-32; where it is neither, the declared charset counts.

    Args:
        body: the bytes.
        content_type: the header, with its charset.
        replace: whether bytes that cannot be decoded are replaced, as in an error message.

    Raises:
        SampleError: it is in neither; a wrong character could turn a wrong answer into a right one.
    """
    declared = content_type.partition("charset=")[2].partition(";")[0].strip(" \"'")
    found = json.detect_encoding(body)
    for charset in ("utf-8-sig" if found.startswith("utf-8") else found, declared):
        try:
            return body.decode(charset)
        except (UnicodeError, LookupError, ValueError):
            continue
    if replace:
        return body.decode("utf-8", "replace")
    raise SampleError("the response is no chat completion (it is not text in UTF-8, nor in the charset of its header)")


def parse_response(body: Any, hide: Callable[[str], str] = str) -> Response:
    """Read a chat completion.

    Args:
        body: parsed JSON.
        hide: removes secrets from a text.

    Raises:
        SampleError: it is not a chat completion; names the field.
    """
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, list) or not choices:
        raise _malformed("choices: there is no answer", body, hide)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        raise _malformed("choices.0.message: it is missing", body, hide)
    texts, thoughts, refusals = _split(message.get("content"), body, hide)
    thoughts += [said for name in ("reasoning_content", "reasoning") if isinstance(said := message.get(name), str)][:1]
    if isinstance(refused := message.get("refusal"), str):
        refusals.append(refused)
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    details = usage.get("completion_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    logprobs = body.get("prompt_logprobs")

    def joined(parts: Sequence[str]) -> str | None:
        return hide(escaped("".join(parts))) if parts else None

    return Response(
        text=joined(texts),
        refusal=joined([text for text in refusals if text]),
        reasoning=joined([text for text in thoughts if text]),
        finish_reason=_finish_reason(choice.get("finish_reason"), hide),
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(details.get("reasoning_tokens")),
        prompt_logprobs=tuple(logprobs) if isinstance(logprobs, list) else (),
    )


def answer_text(response: Response) -> str:
    """Return the answer, stripped of surrounding space.

    An empty answer counts as the model's own if the model ended it with an end token, and as one that was cut if the
    tokens ran out before it, as in reasoning. A refusal is an answer: its text. A response that has no text for another
    reason (a fault behind a proxy) is an error, and so is what a content filter leaves of an answer.

    Raises:
        SampleError: the response has no answer.
    """
    if response.finish_reason == "content_filter":
        raise SampleError("the endpoint's content filter stopped the answer")
    if text := response.text or response.refusal:
        return text.strip()
    tokens = response.tokens_out or 0
    own = response.finish_reason == "stop" and tokens > 0 and (response.text == "" or response.reasoning)
    if own or response.finish_reason == "length":
        return ""
    raise SampleError(f"the endpoint answered without text (finish_reason {response.finish_reason}, {tokens} tokens)")


class _Repeated(ValueError):
    """A field occurs twice, with different values."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        for name, value in pairs:
            if found[name] != value:
                raise _Repeated(f"the field {name[:40]!r} occurs twice, with different values")
    return found


def _malformed(problem: str, body: Any, hide: Callable[[str], str]) -> SampleError:
    try:
        begin = _begin(json.dumps(body), hide)
    except RecursionError:
        begin = "it is nested deeply"
    return SampleError(f"the response is no chat completion ({problem}); {begin}")


def _begin(text: str, hide: Callable[[str], str]) -> str:
    """Return how a text begins; secrets are removed before it is cut, or a half of one would be left."""
    return f"it begins '{visible(' '.join(hide(escaped(text[:10_000])).split())[:80])}'"


def _split(content: Any, body: Any, hide: Callable[[str], str]) -> tuple[list[str], list[str], list[str]]:
    """Return the texts, thoughts and refusals of a message's content."""
    if content is None:
        return [], [], []
    if isinstance(content, str):
        return [content], [], []
    if not isinstance(content, (list, Mapping)):
        raise _malformed("choices.0.message.content: it is neither a text nor a list of parts", body, hide)
    found: dict[str, list[str]] = {"text": [], "thinking": [], "refusal": []}
    for kind, text in _parts(content, "text", _DEEPEST):
        found[kind].append(text)
    return found["text"], found["thinking"], found["refusal"]


def _parts(content: Any, kind: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each part; those within a thinking part are thinking."""
    if isinstance(content, str):
        yield kind, content
    elif isinstance(content, list) and depth:
        for part in content:
            yield from _parts(part, kind, depth - 1)
    elif isinstance(content, Mapping) and depth:
        named = str(content.get("type", "text"))
        if kind == "thinking" or any(word in named for word in ("think", "reason")):
            inner = next(
                (content[name] for name in ("thinking", "reasoning", "text", "summary") if name in content), ""
            )
            yield from _parts(inner, "thinking", depth - 1)
        elif named == "refusal":
            yield from _parts(content.get("refusal", ""), "refusal", depth - 1)
        elif "text" in named:
            text = content.get("text", "")
            yield from _parts(text.get("value", "") if isinstance(text, Mapping) else text, kind, depth - 1)


def _finish_reason(value: Any, hide: Callable[[str], str]) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("type")
    if not isinstance(value, str) or not value:
        return None
    return FINISHED.get(value.lower(), visible(hide(escaped(value)))[:80])


def _count(value: Any) -> int | None:
    """Return a number of tokens; None for what is none, such as NaN, a fraction, or a negative number."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value) if len(value) < 20 else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MOST:
        return None
    return int(value) if math.floor(value) == value else None
