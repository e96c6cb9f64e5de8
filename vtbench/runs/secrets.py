"""Secrets: which values of a config are keys and passwords, and their removal from files and messages.

A value is a secret if its name says so (`api_key`, `Authorization`, `cookie`), at any depth of a config, or if it has
the form of one (`Bearer ...`, `sk-...`, a password in a URL). `SecretFilter` removes known secrets from texts, in the
encodings in which a server may repeat them.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HIDDEN = "***"
SHORTEST = 6
"""Shorter secrets are hidden by their name only: replacing them everywhere would also hit ordinary words."""

_NAME = re.compile(r"key|token(?!iz)|secret|password", re.IGNORECASE)
"""A text with such a name is a secret; a mapping or a list is not, as in `special_tokens: [...]`."""
_SURE_NAME = re.compile(
    r"(api|access|secret|private)[-_ ]?keys?|(auth|access|api)[-_ ]?tokens?|secret|passw|passphrase|\bpwd\b|authoriz"
    r"|\bauth\b|bearer|cookie|credential|\bjwt\b",
    re.IGNORECASE,
)
"""All that such a name holds is secret: texts at any depth, and numbers (a password of digits, read as YAML)."""
_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE)
_SHORTEST_IN_ENVIRONMENT = 12
_LABELS = ("name", "key", "header", "field")
"""Where a mapping holds a name and its value side by side: `{name: Authorization, value: ...}`."""
_IN_TEXT = re.compile(
    r"""
      \b(?:bearer|basic)\s+(?P<scheme>[\w.~+/=-]{6,})
    | (?:authorization|cookie|passw(?:or)?d|passphrase|secret|bearer|credentials?
        |(?:api|access|private|secret|auth|subscription)[-_]?(?:key|token)|(?<![a-z])token(?==[^\s]{8}))
      (?:\\*["'])?\s*[:=][\s\[{]*(?:\\*["'])?(?!(?:bearer|basic)\b)(?P<named>[^\s"'\\,;&{}\[\]]{4,})
    | ://[^/\s:@]*:(?P<password>[^\s/@]+)@
    | (?P<known>\b(?:sk|pk|rk)-[\w-]{16,}|\bhf_\w{20,}|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bAKIA[0-9A-Z]{16}
        |\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{30,}|\beyJ[\w-]{8,}\.eyJ[\w-]+\.[\w-]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SCHEME = re.compile(r"\s*(?:bearer|basic|token)\s+(\S+)\s*", re.IGNORECASE)
_ESCAPES = ("\\", "%", "&#")


def redact(value: Any) -> Any:
    """Return data without its secrets, each replaced by `***`; `secrets` tells which they are."""
    return _redact(value, False)


def secrets(value: Any) -> set[str]:
    """Return the strings that `redact` hides, to remove them from messages too."""
    found = set(_find(value, False))
    # A server may repeat the credentials of a header without their scheme.
    return found | {scheme[1] for text in found if (scheme := _SCHEME.fullmatch(text))}


def mask(text: str) -> str:
    """Return a text without what has the form of a secret: `api_key=abcdef` becomes `api_key=***`."""

    def hide(match: re.Match[str]) -> str:
        start, end = match.span(match.lastgroup or 0)
        return text[match.start() : start] + HIDDEN + text[end : match.end()]

    return _IN_TEXT.sub(hide, text)


def without_secrets(text: str) -> str:
    """Return a text without the environment's secrets, and without what has the form of one."""
    return mask(SecretFilter(environment_secrets())(text))


def environment_secrets() -> set[str]:
    """Return the keys that the environment holds, by the names of their variables; nothing that may be a word."""
    return {
        value
        for name, value in os.environ.items()
        if _VARIABLE.search(name) and len(value) >= _SHORTEST_IN_ENVIRONMENT and re.search(r"\d", value)
    }


class SecretFilter:
    """Replaces secrets in texts by `***`: verbatim, in JSON, percent or HTML escapes, in base64 and in hexadecimal.

    Args:
        secrets: strings to hide; those of less than `SHORTEST` characters are left, as they may be ordinary words.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        hidden = sorted({text for text in secrets if len(text) >= SHORTEST}, key=len, reverse=True)
        self._plain = [form for text in hidden for form in (text, *_encoded(text))]
        self._escaped = [re.compile("".join(map(_any_escape, text))) for text in hidden]

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if any(mark in text for mark in _ESCAPES):
            for pattern in self._escaped:
                text = pattern.sub(HIDDEN, text)
        for form in self._plain:
            text = text.replace(form, HIDDEN)
        return text

    def data(self, value: Any) -> Any:
        """Return JSON data without secrets in its texts."""
        if not self._plain:
            return value
        if isinstance(value, Mapping):
            return {self(str(key)): self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return self(value) if isinstance(value, str) else value


def _redact(value: Any, secret: bool) -> Any:
    if isinstance(value, Mapping):
        return {key: _redact(item, secret or _names_secret(key, item, value)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if _pairs(value):
            return [[name, _redact(item, secret or _names_secret(name, item))] for name, item in value]
        return [_redact(item, secret) for item in value]
    if isinstance(value, str):
        return HIDDEN if secret else mask(value)
    return HIDDEN if secret and _is_number(value) else value


def _find(value: Any, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _find(item, secret or _names_secret(key, item, value))
    elif isinstance(value, (list, tuple)):
        if _pairs(value):
            for name, item in value:
                yield from _find(item, secret or _names_secret(name, item))
        else:
            for item in value:
                yield from _find(item, secret)
    elif secret and (isinstance(value, str) or _is_number(value)):
        yield str(value)
    elif isinstance(value, str):
        yield from (match[match.lastgroup or 0] for match in _IN_TEXT.finditer(value))


def _names_secret(name: Any, item: Any, beside: Mapping[Any, Any] | None = None) -> bool:
    """Whether an item is secret by its name, or by the name beside it: `{name: Authorization, value: ...}`."""
    if name == "value" and beside is not None and _labelled(beside):
        return True
    return bool((_NAME if isinstance(item, str) else _SURE_NAME).search(str(name)) or _SURE_NAME.search(str(name)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _labelled(value: Mapping[Any, Any]) -> bool:
    return any(isinstance(name := value.get(label), str) and bool(_SURE_NAME.search(name)) for label in _LABELS)


def _pairs(value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is one of names and values: `[[Authorization, ...], [Accept, ...]]`."""
    return bool(value) and all(
        isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str) for item in value
    )


def _encoded(text: str) -> Iterator[str]:
    """Yield a secret in hexadecimal and in base64, wherever it may begin in the encoded bytes."""
    content = text.encode("utf-8", "surrogatepass")
    yield content.hex()
    yield content.hex().upper()
    for offset in range(3):
        code = base64.b64encode(bytes(offset) + content).decode("ascii")
        # The characters at both ends also depend on the bytes around the secret.
        inner = code[-(-offset * 8 // 6) : (offset + len(content)) * 8 // 6]
        yield from {inner, inner.translate({ord("+"): "-", ord("/"): "_"})}


def _any_escape(character: str) -> str:
    """Return a pattern of a character in any escape; backslashes may be doubled, as in JSON within JSON."""
    units = character.encode("utf-16-be", "surrogatepass")
    json = "".join(rf"\\+u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    percent = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    code = ord(character)
    forms = [json, percent, rf"\\+x{code:02x}", f"&#0*{code};", f"&#x0*{code:x};"]
    forms += [] if character.isalnum() else [rf"\\+{re.escape(character)}"]
    return f"(?:(?i:{'|'.join(forms)})|{re.escape(character)})"
