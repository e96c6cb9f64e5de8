"""A checkpoint's chat template, from wherever transformers finds one.

Processors read `chat_template.jinja`, `additional_chat_templates/`, `chat_template.json` and processor_config.json;
tokenizers read the first two and tokenizer_config.json. Each place may hold one template or several named ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError

DEFAULT = "default"


def named_templates(value: Any) -> dict[str, str]:
    """Return templates by name from what a config file may hold: a text, a list of named ones, or a mapping."""
    if isinstance(value, str):
        return {DEFAULT: value} if value.strip() else {}
    if isinstance(value, Mapping):
        return {str(name): text for name, text in value.items() if isinstance(text, str)}
    if isinstance(value, list | tuple):
        return {str(entry["name"]): str(entry["template"]) for entry in value if isinstance(entry, Mapping)}
    return {}


def choose_template(processor: Any, source: str, wanted: str | None = None) -> str | None:
    """Return the template of the processor, else of its tokenizer: the one named `default`, or the only one.

    Args:
        processor: of transformers.
        source: the checkpoint, for messages.
        wanted: the name of one of its templates, a Jinja template, or a file that holds one.

    Raises:
        AdapterError: there are several templates and none is the default, or `wanted` is none of the three.
    """
    of_tokenizer = named_templates(getattr(processor.tokenizer, "chat_template", None))
    found = of_tokenizer | named_templates(getattr(processor, "chat_template", None))
    if wanted:
        if wanted in found:
            return found[wanted]
        if "{" in wanted:
            return wanted
        try:
            return Path(wanted).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            named = f"; its templates are {', '.join(sorted(found))}" if found else ""
            raise AdapterError(f"chat_template={wanted} is neither a Jinja template nor a file{named}") from error
    if len(found) > 1 and DEFAULT not in found:
        raise AdapterError(
            f"{source} has several chat templates and none is named {DEFAULT!r}: choose one with"
            f" --model-args chat_template=NAME, of {', '.join(sorted(found))}"
        )
    return found.get(DEFAULT) or next(iter(found.values()), None)


def template_digest(processor: Any) -> str | None:
    """Return the first 16 hexadecimal digits of the template's sha256, for run.json; None without a template."""
    template = getattr(processor, "chat_template", None)
    return hashlib.sha256(str(template).encode()).hexdigest()[:16] if template else None
