"""LoRA updates on disk: a directory as peft writes it, which `--model-args peft=DIR` loads over the base model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vtbench.adapter import TrainableAdapter
from vtbench.runs.disk import write_file
from vtbench_hf.checkpoint.lora import BASE


def save_lora(model: Any, adapter: TrainableAdapter, base: str, directory: Path) -> None:
    """Write the updates of a model, and which weights they were trained on.

    Args:
        model: as `with_lora` returns it, before the updates are merged.
        adapter: of the base model.
        base: how the base was named.
        directory: to write to.
    """
    settings = model.peft_config["default"]
    settings.base_model_name_or_path = base
    settings.target_modules = sorted(settings.target_modules)  # a set would be written in another order each time
    model.save_pretrained(directory, save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)  # an empty model card, with a link to the hub
    described = adapter.describe()
    trained_on = {name: described.get(name) for name in ("checkpoint", "fingerprint")}
    write_file(directory / BASE, json.dumps(trained_on, indent=2) + "\n")
