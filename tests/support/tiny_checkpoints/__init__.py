"""Tiny checkpoints with random weights of the model types that transformers maps to image and text, without a network.

`save` writes one as transformers does: the model's own class, its own processor, a small tokenizer. `RECIPES` says what
each is made of, `NOT_BUILT` why some types have none. `python -m tiny_checkpoints build TYPE DIRECTORY` writes one from
the command line, with this package's parent on the path.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_checkpoints import (
    deepseek,
    documents,
    encoders,
    gemma,
    glm,
    llava,
    pixtral,
    qwen,
    recent,
    recipe,
    relatives,
    tiles,
)
from tiny_checkpoints.not_built import NOT_BUILT
from tiny_checkpoints.recipe import PromptFacts, Recipe, auto_class
from tiny_checkpoints.shipped import FACTS, SHIPPED

_MODULES = (deepseek, documents, encoders, gemma, glm, llava, pixtral, qwen, recent, relatives, tiles)
RECIPES: Mapping[str, Recipe] = {name: one for module in _MODULES for name, one in module.RECIPES.items()}
MULTIMODAL = ("phi4_multimodal", "qwen2_5_omni", "qwen3_omni_moe")
"""Types that take images and that only `AutoModelForMultimodalLM` knows."""
MODEL_TYPES = (*sorted({*RECIPES, *SHIPPED}),)
"""Those that can be built."""

__all__ = [
    "MODEL_TYPES",
    "MULTIMODAL",
    "NOT_BUILT",
    "RECIPES",
    "SHIPPED",
    "Recipe",
    "auto_class",
    "build",
    "mapped_types",
    "prompt_facts",
    "save",
]


def build(model_type: str, seed: int = 0) -> tuple[Any, Any]:
    """Return a model of a type with random weights, and its processor.

    Raises:
        KeyError: there is none of that type.
    """
    if model_type in RECIPES:
        return recipe.build(model_type, RECIPES[model_type], seed)
    if model_type not in SHIPPED:
        raise KeyError(f"{model_type}: {NOT_BUILT.get(model_type, 'there is no recipe of this model type')}")
    model, processor = SHIPPED[model_type](seed=seed)
    recipe.spread(model)
    return model.eval(), processor


def mapped_types() -> list[str]:
    """Return the model types of the installed transformers that answer questions about images, by name."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as IMAGE_TEXT

    return sorted({*IMAGE_TEXT, *MULTIMODAL})


def save(model_type: str, directory: Path, seed: int = 0) -> Path:
    """Write a checkpoint as plain transformers writes it."""
    model, processor = build(model_type, seed)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    if model_type in RECIPES:
        recipe.save_files(RECIPES[model_type], directory)
    return directory


def prompt_facts(model_type: str) -> PromptFacts:
    """Return how transformers' documentation asks a model of a type."""
    return RECIPES[model_type].facts if model_type in RECIPES else FACTS.get(model_type, PromptFacts())
