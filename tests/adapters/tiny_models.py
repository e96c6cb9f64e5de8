"""Random image-text models of many architectures, a few thousand parameters each, made without a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vtbench.types import Sample
from vtbench_families import FAMILIES as ADAPTED
from vtbench_hf.checkpoint.loader import LoadedModel, make_greedy
from vtbench_training.small_models import random_model
from vtbench_training.small_models.sizes import QuerySizes, Sizes

PARTS = {
    "vision_hidden": 32, "vision_layers": 2, "vision_heads": 2,
    "hidden": 32, "layers": 2, "heads": 2, "kv_heads": 2, "intermediate": 64,
}  # fmt: skip
WHOLE = Sizes(**PARTS, image_size=56, patch_size=14)
"""The image in one tile of 16 patches."""
TILE = Sizes(**PARTS, image_size=28, patch_size=7)
FINE = Sizes(**PARTS, image_size=56, patch_size=7)
QUERIES = QuerySizes(**PARTS, image_size=28, patch_size=7, queries=4, connector_layers=2)
RESOLUTIONS = ((28, 56), (56, 28), (56, 56), (28, 84))
PLAIN: dict[str, Any] = {"tied": False, "templated": False}

FAMILIES: dict[str, Callable[..., tuple[Any, Any]]] = {
    "llava": partial(random_model, "llava", WHOLE),
    "idefics3": partial(random_model, "idefics3", TILE, **PLAIN, longest_edge=56),
    "qwen2_vl": partial(random_model, "qwen2_vl", WHOLE, tied=False, sides=(28, 112)),
    "paligemma": partial(random_model, "paligemma", TILE, tied=False),
    "blip-2": partial(random_model, "qformer", QUERIES, text="opt"),
    "internvl": partial(random_model, "internvl", TILE, **PLAIN),
    "mllama": partial(random_model, "mllama", TILE, templated=False, max_tiles=2),
    "blip-2, t5": partial(random_model, "qformer", QUERIES, text="t5"),
    "fuyu": partial(random_model, "fuyu", WHOLE, tied=False, canvas=112),
    "gemma3": partial(random_model, "gemma3", TILE),
    "idefics": partial(random_model, "flamingo", QUERIES, tied=False),
    "idefics3, uncut": partial(random_model, "idefics3", FINE, **PLAIN),
    "internvl, uncut": partial(random_model, "internvl", FINE, **PLAIN, max_tiles=1),
    "llava_next": partial(random_model, "llava_next", TILE, **PLAIN, resolutions=RESOLUTIONS),
    "llava_onevision": partial(random_model, "llava_onevision", TILE, **PLAIN, resolutions=RESOLUTIONS, max_tiles=2),
    "smolvlm": partial(random_model, "smolvlm", TILE, **PLAIN, longest_edge=56),
}
"""By model type and, after a comma, variant: builders of a model and its processor."""
BUILDERS = ("llava", "idefics3", "qwen2_vl", "paligemma", "blip-2", "internvl", "mllama")
"""Those that `hf` is tested on."""
MERGED = ("idefics3", "internvl", "llava")
"""Those that `MergedAdapter` serves without a subclass."""


ADAPTERS = {kind: adapter for adapter, entry in ADAPTED.items() for kind in entry.model_types}
"""By model type: the adapter of `vtbench_families` that serves it."""
ADAPTED_FAMILIES = [name for name in FAMILIES if name.partition(",")[0] in ADAPTERS]


def loaded(name: str, seed: int = 2, loud: bool = True) -> LoadedModel:
    """Return a random model as `load` of `vtbench_hf.checkpoint.loader` would, its weights larger if `loud`."""
    model, processor = FAMILIES[name](seed=seed)
    with torch.no_grad():
        for weight in model.parameters():  # initial weights are too small to tell one answer from another
            if weight.ndim > 1 and loud:
                weight.mul_(4)
            if weight.ndim > 1 and not weight.any():  # of Gemma 3's connector, which would hide the image
                weight.normal_(std=0.1, generator=torch.Generator().manual_seed(seed))
    make_greedy(model.generation_config, processor.tokenizer)
    return LoadedModel(model.eval(), processor, f"tiny {name}")


def save(name: str, directory: Path, loud: bool = True) -> Path:
    """Write a random model as plain transformers does."""
    one = loaded(name, loud=loud)
    one.model.save_pretrained(directory)
    one.processor.save_pretrained(directory)
    return directory


def sample(index: int, prompt: str, choices: tuple[str, ...] = (), size: tuple[int, int] = (56, 56)) -> Sample:
    """Return a sample with an image of noise."""
    pixels = np.random.default_rng(index).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Sample(str(index), index, (Image.fromarray(pixels),), prompt, choices[0] if choices else "", choices)


def batch(size: tuple[int, int] = (56, 56)) -> list[Sample]:
    """Return samples whose prompts and choices differ in length."""
    return [
        sample(0, "is the red circle left of the blue square?", ("yes", "no"), size),
        sample(1, "where?", ("left", "right", "far below it"), size),
        sample(2, "what shape is above the big green thing with dots?", ("circle", "zebra"), size),
    ]
