"""A checkpoint's chat template, from wherever transformers finds one.

Processors read `chat_template.jinja`, `additional_chat_templates/`, `chat_template.json` and processor_config.json;
tokenizers read the first two and tokenizer_config.json. Each place may hold one template or several named ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError, SampleError
from vtbench.scoring.reasoning import opened_reasoning, split_reasoning
from vtbench.types import Sample
from vtbench_hf.chat_rendering import answer_start
from vtbench_hf.prompts import prompt_text

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


_HOSTS = frozenset(
    {"messages", "add_generation_prompt", "continue_final_message", "chat_template", "tokenize", "tools"}
)
"""Variables of a template that vtbench or transformers set."""
_SWITCHES = ("enable_thinking", "thinking")
"""Variables with which templates turn reasoning on and off."""
_KNOWS_REASONING = re.compile(r"think|\[THINK\]|<\|channel\|?>|◁think▷|<unused94>", re.IGNORECASE)


def check_template_args(processor: Any, template_args: Mapping[str, Any], adapter: str) -> None:
    """Refuse variables that the template of a processor does not have: they would change nothing, without a word.

    Raises:
        AdapterError: names the variable.
    """
    if not template_args:
        return
    template = getattr(processor, "chat_template", None)
    if not template:
        raise AdapterError(
            f"model {adapter!r}: --chat-template-args: the checkpoint has no chat template; leave it out"
        )
    known = sorted(_variables(str(template)) - _HOSTS - set(processor.tokenizer.special_tokens_map))
    for name in template_args:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise AdapterError(
                f"model {adapter!r}: --chat-template-args {name}: the chat template has no such variable; {has}"
            )


def reasons(processor: Any, template_args: Mapping[str, Any]) -> bool:
    """Return whether a model reasons before it answers, as far as its chat template tells.

    A template that opens a block of reasoning for the answer says so; one that closes it there says no. One that only
    knows such blocks leaves it to the model, unless a variable turns reasoning off.
    """
    template = str(getattr(processor, "chat_template", None) or "")
    if not _KNOWS_REASONING.search(template):
        return False
    if any(name in template_args and not template_args[name] for name in _SWITCHES):
        return False
    question = Sample("question", 0, (), "vtbenchprobe", "")
    try:
        start = answer_start(question, prompt_text(processor, question, template_args))
    except SampleError:
        return True
    return bool(opened_reasoning(start)) or not split_reasoning(start)[0]


def _variables(template: str) -> frozenset[str]:
    from transformers.utils.chat_template_utils import _get_template_variables

    return _get_template_variables(template)
