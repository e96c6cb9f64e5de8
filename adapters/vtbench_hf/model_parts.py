"""The parts of a model that training can freeze or give a rate of their own: vision tower, connector, language model.

A part is a list of dotted names of modules or parameters, as `torch.nn.Module.get_submodule` takes them. Every
parameter of a model is in exactly one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

ModelParts = Mapping[str, tuple[str, ...]]
"""Module names by part: `vision`, `connector` (all that joins vision to language) and `text`.

A family without a vision tower has no `vision`.
"""

TOWER_AND_PROJECTOR: ModelParts = {
    "vision": ("model.vision_tower",),
    "connector": ("model.multi_modal_projector",),
    "text": ("model.language_model", "lm_head"),
}
"""The parts of LLaVA and of the families that use its module names."""


def parameters_of(model: Any, modules: Sequence[str]) -> Iterator[nn.Parameter]:
    """Yield the parameters of some modules.

    Args:
        model: a `torch.nn.Module`.
        modules: dotted names of modules or parameters.

    Raises:
        AttributeError: the model has no such module or parameter.
    """
    for path in modules:
        parent, _, name = path.rpartition(".")
        member = getattr(model.get_submodule(parent), name)
        yield from member.parameters() if isinstance(member, nn.Module) else (member,)


def is_in_modules(name: str, modules: Sequence[str]) -> bool:
    """Return whether the parameter of that name is in one of the modules, whatever wraps the model.

    >>> is_in_modules("net.model.vision_tower.layer.weight", ["model.vision_tower"])
    True
    >>> is_in_modules("net.model.vision_tower_2.weight", ["model.vision_tower"])
    False
    """
    return any(f".{path}." in f".{name}." for path in modules)
