"""Write a LLaVA checkpoint as the hub has it: a model and its processor in, a directory that any engine loads out.

transformers 5 names the vision tower's weights `vision_tower.embeddings...`; published checkpoints, and the engines
that read them (vLLM), have `vision_tower.vision_model.embeddings...`. transformers itself reads both.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

_TOWER = "vision_tower."
_PUBLISHED_TOWER = "vision_tower.vision_model."


def save_published(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    directory: Path,
    dtype: torch.dtype | None = None,
) -> None:
    """Write `model` and `processor` to `directory` in the published layout; a reader never sees half a checkpoint.

    Everything is written beside `directory` and then takes its place. Files of an older checkpoint there go; files
    that are no part of a checkpoint (a README.md, say) stay.

    Args:
        model: any LLaVA with a CLIP vision tower; it is not changed.
        processor: its processor.
        directory: made where it does not exist.
        dtype: of the floating-point weights in the file; the model's own by default.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        fresh.chmod(0o755)  # mkdtemp keeps it to its owner
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        # transformers 5 keeps these settings in processor_config.json; readers of published checkpoints look here
        processor.image_processor.save_pretrained(fresh)
        _publish_weights(fresh, dtype)
        _swap(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def published_name(name: str) -> str:
    """Return the published name of a weight."""
    if name.startswith(_TOWER) and not name.startswith(_PUBLISHED_TOWER):
        return _PUBLISHED_TOWER + name.removeprefix(_TOWER)
    return name


def _publish_weights(directory: Path, dtype: torch.dtype | None) -> None:
    """Rename and cast the weights in `directory`, and say so in its index and config."""
    for shard in sorted(directory.glob("*.safetensors")):
        weights = {published_name(name): tensor for name, tensor in load_file(shard).items()}
        if dtype is not None:
            weights = {name: t.to(dtype) if t.is_floating_point() else t for name, t in weights.items()}
        save_file(weights, shard, metadata={"format": "pt"})
    index = directory / "model.safetensors.index.json"
    if index.exists():
        content = json.loads(index.read_text())
        content["weight_map"] = {published_name(name): shard for name, shard in content["weight_map"].items()}
        index.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    if dtype is not None:
        config = directory / "config.json"
        content = json.loads(config.read_text())
        content["dtype"] = str(dtype).removeprefix("torch.")
        config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _swap(fresh: Path, directory: Path) -> None:
    """Put `fresh` in the place of `directory`, keeping what is no part of a checkpoint."""
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
