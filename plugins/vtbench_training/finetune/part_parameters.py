"""The parameters of a model's parts: which parts can be frozen, and which have a learning rate of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from vtbench.errors import AdapterError


def parameters_of(model: nn.Module, names: Sequence[str]) -> Iterator[nn.Parameter]:
    """Yield the parameters of some modules.

    Args:
        model: of which they are modules.
        names: dotted names of modules or parameters.

    Raises:
        AttributeError: the model has no such module or parameter.
    """
    for path in names:
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


def check_parts(model: nn.Module, parts: Mapping[str, Sequence[str]]) -> None:
    """Refuse parts that are not those of the model.

    Raises:
        AdapterError: a name is no module or parameter of the model, or a parameter is in no part, or in two.
    """
    homes: dict[int, str] = {}
    for part, names in parts.items():
        for path in names:
            try:
                found = list(parameters_of(model, [path]))
            except AttributeError:
                raise AdapterError(f"parts: {part} names {path!r}, which the model does not have") from None
            for parameter in found:
                if (other := homes.setdefault(id(parameter), part)) != part:
                    raise AdapterError(f"parts: {path!r} of {part} has a parameter that is in {other} too")
    for name, parameter in model.named_parameters():
        if id(parameter) not in homes:
            raise AdapterError(f"parts: the parameter {name!r} is in none of {', '.join(parts)}; name its module")
