"""Initialisation of an untrained model's vision tower from a finished checkpoint: the recipe's `InitialTower`."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration

from vtbench.errors import VtbenchError
from vtbench_hf.checkpoint.published import published_name
from vtbench_llava import SHIPPED


def tower_directory(tower_of: str) -> Path:
    """Return the checkpoint directory that an `InitialTower` names."""
    return SHIPPED.get(tower_of, Path(tower_of))


def load_tower(model: LlavaForConditionalGeneration, tower_of: str) -> None:
    """Load the vision tower of a checkpoint in the published layout into `model`, whose dtype and device stay.

    Raises:
        VtbenchError: there is no such checkpoint, or its tower has other sizes.
    """
    path = tower_directory(tower_of) / "model.safetensors"
    if not path.exists():
        raise VtbenchError(f"{path}: no such file, so there is no vision tower to take")
    saved = load_file(path)
    own = {name: weight for name, weight in model.state_dict().items() if ".vision_tower." in f".{name}"}
    tower = {}
    for name, weight in own.items():
        tensor = saved.get(published_name(name.removeprefix("model.")))
        if tensor is None or tensor.shape != weight.shape:
            found = "missing" if tensor is None else f"{tuple(tensor.shape)}, not {tuple(weight.shape)}"
            raise VtbenchError(f"{path}: the vision tower's {name} is {found}; the recipe's sizes must be the tower's")
        tower[name] = tensor
    model.load_state_dict(tower, strict=False)
