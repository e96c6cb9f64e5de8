"""Random image-text models of many architectures, a few thousand parameters each, made without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_own import blip_2, blip_2_t5, gemma3, idefics, mllama, paligemma, qwen2_vl
from tiny_placed import fuyu, idefics3, internvl, llava, llava_next, llava_onevision, smolvlm

from vtbench.types import Sample
from vtbench_hf.loading import Loaded, make_greedy

BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": llava,
    "idefics3": idefics3,
    "qwen2_vl": qwen2_vl,
    "paligemma": paligemma,
    "blip-2": blip_2,
    "internvl": internvl,
    "mllama": mllama,
}
"""Those that `hf` is tested on."""
FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    **BUILDERS,
    "blip-2, t5": blip_2_t5,
    "fuyu": fuyu,
    "gemma3": gemma3,
    "idefics": idefics,
    "idefics3, uncut": lambda: idefics3(56, cut=False),
    "internvl, uncut": lambda: internvl(56, most_tiles=1),
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "smolvlm": smolvlm,
}
"""By model type, and what else there is of it."""


def loaded(name: str, seed: int = 0, loud: bool = True) -> Loaded:
    """Return a random model as `vtbench_hf.loading.load` would, its weights larger than initial ones if `loud`."""
    torch.manual_seed(seed)
    model, processor = FAMILIES[name]()
    with torch.no_grad():
        for weight in model.parameters():  # initial weights are too small to tell one answer from another
            if weight.ndim > 1 and loud:
                weight.mul_(4)
    make_greedy(model.generation_config, processor.tokenizer)
    return Loaded(model.eval(), processor, f"tiny {name}")


def save(name: str, directory: Path, loud: bool = True) -> Path:
    """Write a random model as plain transformers does."""
    made = loaded(name, loud=loud)
    made.model.save_pretrained(directory)
    made.processor.save_pretrained(directory)
    return directory


def sample(index: int, prompt: str, choices: tuple[str, ...] = (), size: tuple[int, int] = (56, 56)) -> Sample:
    """Return a sample with a picture of noise."""
    pixels = np.random.default_rng(index).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Sample(str(index), index, (Image.fromarray(pixels),), prompt, choices[0] if choices else "", choices)


def batch(size: tuple[int, int] = (56, 56)) -> list[Sample]:
    """Return samples whose prompts and choices differ in length."""
    return [
        sample(0, "is the red circle left of the blue square?", ("yes", "no"), size),
        sample(1, "where?", ("left", "right", "far below it"), size),
        sample(2, "what shape is above the big green thing with dots?", ("circle", "zebra"), size),
    ]
