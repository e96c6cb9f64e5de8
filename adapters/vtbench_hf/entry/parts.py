"""The parts of any model for training: the vision tower, the language model, and what joins them."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from vtbench_hf.model_parts import ModelParts

_JOINS = re.compile(r"merger|projector|projection|connector|resampler|adapter|adaptor|aligner|perceiver|qformer|mlp1")
"""Names of modules inside a vision tower that make its output the language model's input."""


def parts_of(model: Any, decoder: nn.Module) -> ModelParts:
    """Return the module names of `vision`, `connector` and `text`: every parameter is in exactly one part.

    Args:
        model: of transformers.
        decoder: the module of it that reads the prompt's embeddings.

    Returns:
        Without `vision` where the model names no vision tower; empty where nothing joins it to the language model.
    """
    tower = model.get_encoder(modality="image")
    names = {id(module): name for name, module in model.named_modules()}
    if not names.get(id(decoder)):
        return {}
    vision = "" if tower is model or tower is decoder else names.get(id(tower), "")
    readers = (decoder, model.get_decoder(), model.get_output_embeddings())
    text = [names[id(module)] for module in readers if module is not None and names.get(id(module))]
    parts: dict[str, set[str]] = {"vision": set(), "connector": set(), "text": set()}
    for name, _ in model.named_parameters():
        parts[_part(name, vision, text)].add(name)
    if not parts["text"] or not parts["connector"]:
        return {}
    return {part: tuple(_shortest(model, members)) for part, members in parts.items() if members}


def _part(name: str, vision: str, text: list[str]) -> str:
    if any(_within(name, prefix) for prefix in text):
        return "text"
    if vision and _within(name, vision):
        own = name.removeprefix(vision + ".").split(".")
        return "connector" if own and _JOINS.search(own[0]) else "vision"
    return "connector"


def _within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _shortest(model: Any, members: set[str]) -> list[str]:
    """Return the fewest names of modules that hold these parameters and no others."""
    everything = [name for name, _ in model.named_parameters()]
    found: list[str] = []
    for name in sorted(members):
        if any(_within(name, known) for known in found):
            continue
        pieces = name.split(".")
        prefixes = (".".join(pieces[:count]) for count in range(1, len(pieces) + 1))
        found.append(next(p for p in prefixes if all(other in members for other in everything if _within(other, p))))
    return found
