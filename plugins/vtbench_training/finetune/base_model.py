"""The base model of a fine-tuning: names of a model and a base -> the adapter of the loaded checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from typing_extensions import get_protocol_members

from vtbench.adapter import TrainableAdapter
from vtbench.errors import AdapterError, VtbenchError
from vtbench.plugin import Named
from vtbench.registry import Registry
from vtbench.runs.json_file import read_object
from vtbench_hf.checkpoint.config import is_offline
from vtbench_llava import SHIPPED
from vtbench_training.finetune.part_parameters import check_parts
from vtbench_training.finetune.settings import OWN_BASE


def base_arguments(base: str, model: str = "llava", registry: Registry | None = None) -> dict[str, str]:
    """Return the model arguments with which an adapter loads a base.

    Args:
        base: `base`, the model that the adapter loads by default, or what its argument `pretrained` takes.
        model: the adapter's name.
        registry: plugins to use; the installed ones by default.

    Raises:
        VtbenchError: there is no such model, it cannot be trained, or the base is a checkpoint of another family.
    """
    registry = registry or Registry()
    adapter = registry.find("model", model)
    if "pretrained" not in adapter.settings:
        raise VtbenchError(
            f"--model {model} cannot be trained: it takes no --model-args pretrained=..., which loads what was trained"
        )
    if base == OWN_BASE:
        return {}
    kind, takes = _model_type(Path(base).expanduser()), _model_types(adapter)
    if kind is not None and takes and kind not in takes:
        others = (name for name, other in registry.named("model").items() if kind in _model_types(other))
        fits = next((f"--model {name} takes it" for name in others), "no other adapter names that type")
        raise VtbenchError(
            f"base: {base} is a {kind!r} checkpoint, and --model {model} takes {' or '.join(takes)} ones; {fits}"
        )
    return {"pretrained": base}


def base_directory(base: str, model: str = "llava") -> Path | None:
    """Return the directory of a base; None for one that ships, or a name on the hub.

    Raises:
        AdapterError: there is none of the three.
    """
    if base == OWN_BASE or (model == "llava" and base in SHIPPED):
        return None
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    is_offline(model, base)
    return None


def load_base(
    base: str,
    device: torch.device,
    model: str = "llava",
    registry: Registry | None = None,
    *,
    dtype: str = "float32",
    quantization: str | None = None,
) -> TrainableAdapter:
    """Return the adapter of a base, loaded for training.

    Args:
        base: as `base_arguments` takes it.
        device: that it is loaded on.
        model: the adapter's name.
        registry: plugins to use; the installed ones by default.
        dtype: of the weights.
        quantization: `8bit` or `4bit`; None leaves the weights as they are.

    Raises:
        VtbenchError: as `base_arguments`; or it cannot be loaded or trained.
    """
    registry = registry or Registry()
    arguments = base_arguments(base, model, registry)
    if device.type == "cpu" and "attn_implementation" in registry.find("model", model).settings:
        # For short sequences on a CPU the backward pass of eager attention in bfloat16 takes half the fused one's time.
        arguments["attn_implementation"] = "eager"
    if quantization is not None:
        if "quantization" not in registry.find("model", model).settings:
            raise VtbenchError(f"quantization: --model {model} cannot be loaded quantised; leave it out")
        arguments["quantization"] = quantization
    try:
        adapter = registry.adapter(model, arguments, str(device), dtype)
    except AdapterError as error:
        said = f"{error}; here --base names it" if base == OWN_BASE else f"base {base}: {error}"
        raise VtbenchError(said) from error
    return checked_trainable(adapter, model)


def checked_trainable(adapter: object, model: str) -> TrainableAdapter:
    """Return an adapter that can be trained.

    Raises:
        VtbenchError: it lacks the capability `train`, or something that `TrainableAdapter` has; names what is missing.
    """
    if "train" not in getattr(adapter, "capabilities", ()):
        raise VtbenchError(f"--model {model} cannot be trained: its adapter lacks the capability 'train'")
    missing = missing_members(adapter, TrainableAdapter)
    if missing or not isinstance(adapter, TrainableAdapter):
        raise VtbenchError(
            f"--model {model} cannot be trained: its adapter says that it can, but has no {' and no '.join(missing)}"
            " (docs/adapter.md, Fine-tune your model)"
        )
    try:
        check_parts(adapter.model, adapter.parts)
    except AdapterError as error:
        raise VtbenchError(f"--model {model} cannot be trained: {error}") from error
    return adapter


def _model_types(adapter: Named) -> tuple[str, ...]:
    """Return the `model_type`s of config.json that an adapter serves, where its factory says so."""
    types: tuple[str, ...] = getattr(adapter.factory, "model_types", ())
    return types


def _model_type(directory: Path) -> str | None:
    if not (directory / "config.json").is_file():
        return None  # a hub name, or something that loading says more about
    kind = read_object(directory / "config.json", cure="; a base is the directory of a checkpoint").get("model_type")
    return None if kind is None else str(kind)


def missing_members(adapter: object, protocol: type) -> list[str]:
    """Return the names that a protocol has and an adapter lacks, sorted."""
    return sorted(name for name in get_protocol_members(protocol) if not hasattr(adapter, name))
