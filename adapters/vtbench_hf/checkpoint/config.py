"""A checkpoint's config.json: found in a directory, the hub's cache or the hub, and checked against an adapter."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import StrictDataclassError
from huggingface_hub.utils import HFValidationError, validate_repo_id
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

from vtbench.errors import AdapterError
from vtbench.runs.json_file import read_object
from vtbench_hf.checkpoint.model_types import adapter_for
from vtbench_hf.checkpoint.packages import needs_packages
from vtbench_hf.errors import first_line

PROMPT_FORMAT = "vtbench_prompt_format"
"""The key of config.json that names the prompt format of a model that was trained on our tasks."""

_CONVERTED = {"llava_": ("LLaVA", "llava-hf/*"), "internvl_chat": ("InternVL", "OpenGVLab/InternVL3-*-hf")}
"""By the prefix of the `model_type` of an original format: the family, and its checkpoints for transformers."""
_REMOTE_CLASSES = ("AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoModelForCausalLM", "AutoModel")
"""The keys of `auto_map` under which checkpoints name the class of their own code, the most telling first."""


@dataclass(frozen=True, slots=True)
class KnownConfig:
    """A checkpoint's config, and what loads its model."""

    config: Any
    model_type: str
    auto_class: Any
    """A class of transformers with `from_pretrained`."""


def is_offline(adapter: str, pretrained: str, file: str = "config.json") -> bool:
    """Return whether a hub checkpoint must come from the cache because the hub does not answer. No retries.

    Args:
        adapter: its name, for messages.
        pretrained: the checkpoint's name on the hub.
        file: of the checkpoint, which the cache must have.

    Raises:
        AdapterError: it is not a valid hub name, or neither the cache nor the hub has it.
    """
    missing = f"--model {adapter}: there is no directory {pretrained!r}"
    try:
        validate_repo_id(pretrained)
    except HFValidationError as error:
        raise AdapterError(f"{missing}; pretrained= takes the directory of a checkpoint or a hub name") from error
    if problem := _hub_error():
        if isinstance(try_to_load_from_cache(pretrained, file), str):
            return True
        raise AdapterError(
            f"{missing}, no hub checkpoint of that name in the cache, and the hub cannot be reached ({problem})"
        )
    return False


def checked_config(
    adapter: str, source: str, options: dict[str, Any], only: Collection[str], never: Collection[str]
) -> KnownConfig:
    """Return the checkpoint's config and the class that loads it, once it is known that the adapter serves it.

    Args:
        adapter: its name, for messages.
        source: directory or hub name.
        options: keyword arguments of `from_pretrained`.
        only: the model types that the adapter serves; empty is every image-text model.
        never: model types that the adapter leaves to others.

    Raises:
        AdapterError: says what the checkpoint is, and which adapter serves it.
    """
    path = Path(source)
    if path.is_dir() and not (path / "config.json").exists():
        hint = "a checkpoint that transformers can load holds config.json, weights, tokenizer and processor"
        if any(path.glob("*.gguf")):
            hint = "it holds GGUF weights, which transformers does not serve as an image-text model"
        elif (path / "adapter_config.json").exists():
            hint = "it holds a LoRA: give its base model as pretrained=, and this directory as peft="
        raise AdapterError(f"{source} has no config.json: {hint}")
    if path.is_dir():
        read_object(path / "config.json", AdapterError, "; copy or download it again")
    try:
        config = transformers.AutoConfig.from_pretrained(source, **options)
    except (ImportError, OSError, ValueError, KeyError, StrictDataclassError) as error:
        if lacking := needs_packages(source, "config", error):
            raise lacking from error
        kind = _declared_type(path)
        for original, (family, converted) in _CONVERTED.items():
            if kind.startswith(original):
                raise AdapterError(
                    f"{source} is in the original {family} format ({kind}); use one converted for transformers"
                    f" (as {converted})"
                ) from error
        if "trust_remote_code=True" in str(error):
            raise AdapterError(f"{source} comes with code of its own, which trust_remote_code=true runs") from error
        raise AdapterError(f"{source}: its config cannot be used ({first_line(error)})") from error
    auto_class = _auto_class(config, bool(options["trust_remote_code"]))
    if auto_class is None:
        architectures = ", ".join(config.architectures or []) or "no architecture named"
        raise AdapterError(
            f"{source} is a {config.model_type!r} checkpoint ({architectures}), not an image-text model:"
            f" --model {adapter} needs one that AutoModelForImageTextToText loads"
            f" (llava, qwen2_vl, idefics3, paligemma, ...){_own_code(config, options)}"
        )
    if config.model_type in never or (only and config.model_type not in only):
        takes = f"takes {' or '.join(only)}" if only else "leaves it to another"
        raise AdapterError(
            f"{path / 'config.json'} says model_type {config.model_type}, and --model {adapter} {takes}:"
            f" --model {adapter_for(config.model_type)} runs it"
        )
    return KnownConfig(config, str(config.model_type), auto_class)


def _auto_class(config: Any, trust_remote_code: bool) -> Any:
    """Return the class of transformers that loads a checkpoint as an image-text model; None where none does."""
    if config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return transformers.AutoModelForImageTextToText
    if config.model_type in MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES:
        return transformers.AutoModelForMultimodalLM
    named = (getattr(config, "auto_map", None) or {}) if trust_remote_code else {}
    return next((getattr(transformers, name) for name in _REMOTE_CLASSES if name in named), None)


def _own_code(config: Any, options: dict[str, Any]) -> str:
    """Return a hint for a checkpoint with code of its own that was not asked for."""
    named = getattr(config, "auto_map", None) or {}
    if options["trust_remote_code"] or not any(name in named for name in _REMOTE_CLASSES):
        return ""
    return "; it comes with code of its own, which trust_remote_code=true runs"


def _hub_error() -> str | None:
    """Return why the hub cannot be reached; None where it answers at all."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        reason = getattr(error, "reason", error)
        # Certificates are the hub client's business: it may have some that this request does not.
        return None if isinstance(reason, ssl.SSLError) else f"{constants.ENDPOINT}: {first_line(reason)}"
    return None


def _declared_type(directory: Path) -> str:
    try:
        return str(json.loads((directory / "config.json").read_text()).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""
