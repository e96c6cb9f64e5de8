"""A finished model's vision tower into an untrained one: the `TakenTower` stage."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration

from vtbench.errors import VtbenchError
from vtbench_llava import SHIPPED
from vtbench_llava.layout import published_name


def tower_directory(tower_of: str) -> Path:
    """Return where a `TakenTower` lies."""
    return SHIPPED.get(tower_of, Path(tower_of))


def take_tower(model: LlavaForConditionalGeneration, tower_of: str) -> None:
    """Give `model` the vision tower of a checkpoint in the published layout; its own dtype and device stay.

    Raises:
        VtbenchError: there is no such checkpoint, or its tower has other sizes.
    """
    path = tower_directory(tower_of) / "model.safetensors"
    if not path.exists():
        raise VtbenchError(f"{path}: no such file, so there is no vision tower to take")
    saved = load_file(path)
    own = {name: weight for name, weight in model.state_dict().items() if ".vision_tower." in f".{name}"}
    taken = {}
    for name, weight in own.items():
        tensor = saved.get(published_name(name.removeprefix("model.")))
        if tensor is None or tensor.shape != weight.shape:
            found = "missing" if tensor is None else f"{tuple(tensor.shape)}, not {tuple(weight.shape)}"
            raise VtbenchError(f"{path}: the vision tower's {name} is {found}; the recipe's sizes must be the tower's")
        taken[name] = tensor
    model.load_state_dict(taken, strict=False)
