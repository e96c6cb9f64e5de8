"""The parts of a model that training tells apart: homes by name in, the parameters that live there out.

A home is a module or a parameter, by its name in the model. A family's adapter says which homes are its vision tower,
its connector (whatever joins the pictures to the language model) and its language model; every parameter is in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

Parts = Mapping[str, tuple[str, ...]]
"""Homes by part: `vision`, `connector`, `text`; a family without a tower has no `vision`."""

TOWER_AND_PROJECTOR: Parts = {
    "vision": ("model.vision_tower",),
    "connector": ("model.multi_modal_projector",),
    "text": ("model.language_model", "lm_head"),
}
"""Those of LLaVA and its like."""


def parameters_at(model: Any, homes: Sequence[str]) -> Iterator[nn.Parameter]:
    """Yield the parameters of some homes.

    Raises:
        AttributeError: the model has no such module or parameter.
    """
    for home in homes:
        parent, _, name = home.rpartition(".")
        member = getattr(model.get_submodule(parent), name)
        yield from member.parameters() if isinstance(member, nn.Module) else (member,)


def lies_at(name: str, homes: Sequence[str]) -> bool:
    """Whether a parameter of that name lives in one of the homes, whatever the model itself is part of.

    >>> lies_at("net.model.vision_tower.layer.weight", ["model.vision_tower"])
    True
    >>> lies_at("net.model.vision_tower_2.weight", ["model.vision_tower"])
    False
    """
    return any(f".{home}." in f".{name}." for home in homes)
