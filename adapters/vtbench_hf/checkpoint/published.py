"""Write a model and its processor as a checkpoint in the published layout, with the weight names of the hub.

transformers 5 renames many weights in memory and writes their published names, except in CLIP and SigLIP towers: it
writes `vision_tower.embeddings...`. The published checkpoints of LLaVA, LLaVA-NeXT, LLaVA-OneVision and PaliGemma, and
the engines that read them (vLLM), have `vision_tower.vision_model.embeddings...`. transformers itself reads both.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from vtbench_hf.checkpoint.config import PROMPT_FORMAT
from vtbench_hf.checkpoint.loader import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

_TOWER = "vision_tower."
_PUBLISHED_TOWER = "vision_tower.vision_model."
_NESTED = frozenset({"clip_vision_model", "siglip_vision_model"})
"""Model types of the towers whose published weights are those of a `vision_model` inside the tower."""


def save_published(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    directory: Path,
    dtype: torch.dtype | None = None,
    *,
    prompt_format: str | None = None,
) -> None:
    """Write `model` and `processor` to `directory` in the published layout. A reader never sees a partial checkpoint.

    The files are written to a temporary directory, which then replaces `directory`. Files of an older checkpoint there
    are removed; other files (README.md) are kept.

    Args:
        model: an image-text model of transformers; it is not changed.
        processor: its processor.
        directory: created where it does not exist.
        dtype: of the floating-point weights in the files; the model's own by default.
        prompt_format: in which the model was trained on our tasks; None for any other model.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        fresh.chmod(0o755)  # mkdtemp makes it readable by its owner only
        with quiet():
            model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        # transformers 5 writes these settings to processor_config.json; readers of published checkpoints look here
        processor.image_processor.save_pretrained(fresh)
        nested = getattr(getattr(model.config, "vision_config", None), "model_type", None) in _NESTED
        _publish_weights(fresh, published_name if nested else str, dtype)
        if prompt_format is not None:
            _add_to_config(fresh, PROMPT_FORMAT, prompt_format)
        _swap(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def published_name(name: str) -> str:
    """Return the published name of a weight of a model with CLIP's or SigLIP's tower.

    >>> published_name("vision_tower.post_layernorm.bias"), published_name("lm_head.weight")
    ('vision_tower.vision_model.post_layernorm.bias', 'lm_head.weight')
    """
    if name.startswith(_TOWER) and not name.startswith(_PUBLISHED_TOWER):
        return _PUBLISHED_TOWER + name.removeprefix(_TOWER)
    return name


def _publish_weights(directory: Path, published: Callable[[str], str], dtype: torch.dtype | None) -> None:
    """Rename and cast the weights in `directory`, and update its index and config."""
    for shard in sorted(directory.glob("*.safetensors")):
        weights = {published(name): tensor for name, tensor in load_file(shard).items()}
        if dtype is not None:
            weights = {name: t.to(dtype) if t.is_floating_point() else t for name, t in weights.items()}
        save_file(weights, shard, metadata={"format": "pt"})
    index = directory / "model.safetensors.index.json"
    if index.exists():
        content = json.loads(index.read_text())
        content["weight_map"] = {published(name): shard for name, shard in content["weight_map"].items()}
        index.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    if dtype is not None:
        _add_to_config(directory, "dtype", str(dtype).removeprefix("torch."))


def _add_to_config(directory: Path, key: str, value: str) -> None:
    config = directory / "config.json"
    content = json.loads(config.read_text()) | {key: value}
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _swap(fresh: Path, directory: Path) -> None:
    """Replace `directory` by `fresh`, keeping the files that are no part of a checkpoint."""
    if not directory.exists():
        os.replace(fresh, directory)
        return
    for path in directory.iterdir():
        if not path.name.endswith((".json", ".jinja", ".safetensors")) and path.name != "tokenizer.model":
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, fresh / path.name)
    old = fresh.with_name(fresh.name + ".old")
    os.replace(directory, old)
    os.replace(fresh, directory)
    shutil.rmtree(old)
