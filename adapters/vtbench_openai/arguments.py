"""The arguments of `--model openai`, their checks, and the API key, which comes from the environment only."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le, Lt

from vtbench.adapter import Generation
from vtbench.errors import AdapterError
from vtbench.settings import checked

DEFAULT_KEY = "OPENAI_API_KEY"
Price = Annotated[float, Ge(0), Lt(math.inf)]
Pixels = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointArguments:
    """Which endpoint is asked, and how."""

    base_url: Annotated[str | None, "URL of the endpoint, without `/chat/completions`."] = None
    model: Annotated[str | None, "Name of the model at the endpoint."] = None
    concurrency: Annotated[int, "Maximum number of concurrent requests.", Ge(1), Le(1024)] = 8
    retries: Annotated[
        int,
        "How often a request is repeated after 408, 409, 425, 429, 5xx or a lost connection.",
        Ge(0),
        Le(100),
    ] = 5
    timeout: Annotated[float, "Seconds that one request may take.", Gt(0), Lt(math.inf)] = 60.0
    key_env: Annotated[str, "Environment variable that holds the API key. Only the default variable may be unset."] = (
        DEFAULT_KEY
    )
    image_size: Annotated[
        Pixels | None, "Side in pixels at which tasks render their images; by default that of the probe."
    ] = None
    probe: Annotated[
        str | None, "Local checkpoint that gives the visual tokens, as an endpoint returns none: the model it serves."
    ] = None
    price_in: Annotated[Price | None, "Price of a million prompt tokens, to record the cost of a run."] = None
    price_out: Annotated[Price | None, "Price of a million completion tokens."] = None
    extra: Annotated[
        Mapping[str, Any] | None,
        "Further fields of every request; null removes a field: `extra={temperature: null}`.",
    ] = field(default_factory=dict)
    generation: Annotated[Generation | None, "How the model generates; the host passes it (`--gen`)."] = None
    chat_template_args: Annotated[
        Mapping[str, Any] | None, "Variables of the chat template; the host passes them (`--chat-template-args`)."
    ] = None
    device: Annotated[str, "Device of the probe."] = "auto"
    dtype: Annotated[str, "Number format of the probe's weights."] = "auto"

    def cost(self, tokens_in: int | None, tokens_out: int | None) -> float | None:
        """Return the price of a request with these token counts; None without prices, or without a count that has one.

        >>> EndpointArguments(base_url="http://host/v1", price_in=2.5, price_out=10.0).cost(1000, 100)
        0.0035
        """
        priced = [(tokens_in, self.price_in), (tokens_out, self.price_out)]
        known = [(tokens, price) for tokens, price in priced if price is not None]
        costs = [tokens * price for tokens, price in known if tokens is not None]
        return sum(costs) / 1e6 if known and len(costs) == len(known) else None


def checked_arguments(values: Mapping[str, Any]) -> EndpointArguments:
    """Check the arguments and return them, `base_url` in its normal form.

    Raises:
        AdapterError: names the argument that is invalid. The message never repeats a value that may be a secret.
    """
    base_url, key_env = values.get("base_url"), values.get("key_env", DEFAULT_KEY)
    if not base_url:
        raise AdapterError(
            "model 'openai' needs an endpoint: --model-args base_url=http://localhost:8000/v1,model=NAME"
        )
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", str(key_env)):
        raise AdapterError(
            "model 'openai': key_env: must be the name of an environment variable, such as OPENAI_API_KEY, not a key"
        )
    values = {**values, "base_url": _normal_url(str(base_url))}
    settings = checked(EndpointArguments, values, "model 'openai': {}".format, AdapterError)
    for name, fields in (("extra", settings.extra), ("--chat-template-args", settings.chat_template_args)):
        try:
            json.dumps(fields, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise AdapterError(f"model 'openai': {name}: these fields cannot be sent as JSON: {error}") from error
    return settings


def api_key(arguments: EndpointArguments) -> str | None:
    """Return the API key from the environment; None if the default variable is unset.

    Raises:
        AdapterError: another variable is unset, or its value cannot be sent in a header. It is not repeated.
    """
    key = os.environ.get(arguments.key_env, "").strip()
    if not key and arguments.key_env != DEFAULT_KEY:
        raise AdapterError(f"model 'openai': key_env: the environment variable {arguments.key_env} is not set")
    if not key.isascii() or not key.isprintable():
        raise AdapterError(
            f"model 'openai': key_env: the value of {arguments.key_env} is not a key: it has characters that no header"
            " can hold"
        )
    return key or None


def _normal_url(text: str) -> str:
    """Return the URL without a trailing slash. A URL that holds a secret is refused and not repeated."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise AdapterError("model 'openai': base_url: must be a URL like http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise AdapterError(
            "model 'openai': base_url: must be a plain URL, without user, password, query or fragment;"
            f" a key belongs into the environment variable {DEFAULT_KEY}"
        )
    return text.rstrip("/").removesuffix("/chat/completions")
