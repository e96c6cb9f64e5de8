"""The arguments of `--model vllm` and their checks: the adapter's own, and those of vLLM's engine.

The engine's names and types are read from the dataclass `EngineArgs` of the installed vLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Annotated, Any, get_args

from vtbench.adapter import Generation
from vtbench.errors import AdapterError, nearest
from vtbench.settings import check_value, checked, split_settings

RESERVED: Mapping[str, str] = {
    "model": "pretrained= names the checkpoint",
    "tokenizer": "prompts are tokenised with the checkpoint's own tokenizer",
    "runner": "the adapter needs a model that generates",
    "logprobs_mode": "ranking needs the log-probabilities of the model without processing",
}
"""Fields of EngineArgs that the adapter sets, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmArguments:
    """Which checkpoint is served, and what is loaded beside the engine."""

    pretrained: Annotated[
        str | None,
        "Directory of a checkpoint in the transformers format, or its name on the hub; by default the model that ships"
        " with vtbench, and `neutral` is the second one that ships.",
    ] = None
    revision: Annotated[str | None, "Branch, tag or commit on the hub."] = None
    dtype: Annotated[str, "`auto` (bfloat16 on a GPU, float32 on a CPU), `float32`, `bfloat16` or `float16`."] = "auto"
    device: Annotated[
        str, "`auto`, or the kind of device this vLLM was built for; CUDA_VISIBLE_DEVICES selects among several."
    ] = "auto"
    trust_remote_code: Annotated[bool, "Run code that comes with the checkpoint."] = False
    chat_template: Annotated[
        str | None, "A Jinja template, a file that holds one, or the name of one of the checkpoint's."
    ] = None
    visual_tokens: Annotated[
        bool,
        "Load the vision model beside the engine, which exposes no visual tokens; `false` saves its memory, and the run"
        " has answers only.",
    ] = True
    generation: Annotated[Generation | None, "How the model generates; the host passes it (`--gen`)."] = None
    chat_template_args: Annotated[
        Mapping[str, Any] | None, "Variables of the chat template; the host passes them (`--chat-template-args`)."
    ] = None


def checked_arguments(arguments: Mapping[str, Any]) -> tuple[VllmArguments, dict[str, Any]]:
    """Check all arguments of the adapter.

    Returns:
        The adapter's own arguments, and those of the engine with values of their fields' types.

    Raises:
        ImportError: vLLM is not installed.
        AdapterError: names the argument that is invalid.
    """
    from vtbench_vllm.engine import engine_args_class

    given, engine = split_settings(VllmArguments, arguments)
    checked_engine = checked_engine_arguments(engine, engine_args_class())
    return checked(VllmArguments, given, _label, AdapterError), checked_engine


def checked_engine_arguments(given: Mapping[str, Any], engine_args: type) -> dict[str, Any]:
    """Return the engine's arguments as their fields' types: `"2"` as 2 where a number is declared.

    Args:
        given: by name of the field.
        engine_args: vLLM's dataclass `EngineArgs`.

    Raises:
        AdapterError: there is no such field, the adapter sets it, or the value does not have its type.
    """
    types = {field.name: field.type for field in fields(engine_args) if not field.name.startswith("_")}
    for name in given:
        if name in RESERVED:
            raise AdapterError(f"{_label(name)}: the adapter sets it ({RESERVED[name]}); leave it out")
        if name not in types:
            raise AdapterError(f"{_label(name)}: vLLM's engine takes no such argument.{nearest(name, [*types])}")
    return {name: _engine_value(name, value, types[name]) for name, value in given.items()}


def _engine_value(name: str, value: Any, kind: Any) -> Any:
    for choice in (kind, *get_args(kind)):  # pydantic reads an enum by its values, users write its names
        if isinstance(choice, type) and issubclass(choice, Enum) and str(value) in choice.__members__:
            return choice[value]
    read = check_value(kind, value, _label(name), AdapterError)
    # A mapping stays one: the engine builds its own object from it.
    return value if isinstance(value, Mapping) else read


def _label(name: str) -> str:
    return f"model 'vllm': {name}"
