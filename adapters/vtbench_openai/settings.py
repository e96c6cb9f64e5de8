"""What `--model-args` says, checked; and the key, from the environment and from nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from vtbench.errors import AdapterError

DEFAULT_KEY = "OPENAI_API_KEY"
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an endpoint is asked; the factory says what each means."""

    base_url: str
    model: str
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    retries: Annotated[int, Field(ge=0, le=100)] = 5
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = DEFAULT_KEY
    image_size: Annotated[int, Field(ge=1)] | None = None
    price_in: Price | None = None
    price_out: Price | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = field(default=None, repr=False)

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """Return what so many tokens cost; None where no price was given.

        >>> Settings(base_url="http://host/v1", model="m", price_in=2.5, price_out=10.0).cost(1000, 100)
        0.0035
        """
        if self.price_in is None and self.price_out is None:
            return None
        return (tokens_in * (self.price_in or 0.0) + tokens_out * (self.price_out or 0.0)) / 1e6


def checked(**values: Any) -> Settings:
    """Check the settings, and read the key.

    Raises:
        AdapterError: names the setting that is wrong. It repeats no value that may be a secret.
    """
    if not values["base_url"]:
        raise AdapterError(
            "model 'openai' needs an endpoint: --model-args base_url=http://localhost:8000/v1,model=NAME"
        )
    values["base_url"] = _base_url(str(values["base_url"]))
    values["model"] = "" if values["model"] is None else str(values["model"])  # in YAML, a name may be a number
    try:
        settings = TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if name == "key_env":
            raise AdapterError(
                "model 'openai': key_env= takes the name of an environment variable, as OPENAI_API_KEY, not a key"
            ) from None
        raise AdapterError(f"model 'openai': {name}={first['input']}: {first['msg'].lower()}") from error
    return _with_key(settings)


def _base_url(text: str) -> str:
    """Return the address without a slash at its end. One that holds a secret is refused, and not repeated."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine:
        raise AdapterError("model 'openai': base_url= must be an address like http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise AdapterError(
            "model 'openai': base_url= must be a plain address, without user, password or anything behind a '?';"
            f" a key belongs into the environment variable {DEFAULT_KEY}"
        )
    return text.rstrip("/").removesuffix("/chat/completions")


def _with_key(settings: Settings) -> Settings:
    key = os.environ.get(settings.key_env, "").strip()
    if not key and settings.key_env != DEFAULT_KEY:
        raise AdapterError(f"model 'openai': the environment variable {settings.key_env} of key_env= is not set")
    if not key.isascii() or not key.isprintable():
        raise AdapterError(f"model 'openai': what {settings.key_env} holds is no key: it has odd characters")
    return replace(settings, key=key or None)
