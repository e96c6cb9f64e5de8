"""Checkpoints of families without a file of their own, behind the adapter that finds out itself where the image is."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import tiny_checkpoints
import torch
from PIL import Image

from vtbench.types import Sample
from vtbench_hf.checkpoint.loader import LoadedModel, make_greedy
from vtbench_hf.probed_adapter import ProbedAdapter

TYPES = ("qwen2_5_vl", "qwen3_vl", "qwen3_5", "gemma3", "gemma4", "mistral3", "glm4v", "internvl", "deepseek_vl")
TYPES += ("granite4_vision", "molmo2", "instructblip", "florence2", "t5gemma2")
"""One or more of each way in which images enter: embeddings, rows of later layers, an encoder in front."""
ENCODER_DECODERS = ("florence2", "t5gemma2")
CAUSAL = tuple(name for name in TYPES if name not in ENCODER_DECODERS)
STATEFUL = ("qwen3_5",)
"""With layers that carry a state from token to token, so that a masked token still moves the later ones."""
WINDOWED = ("gemma4",)
"""With windows of attention that are counted in tokens, so that fewer tokens see farther."""
CHOICES = ("red", "a blue cube", "yes it is")


@cache
def adapter(model_type: str) -> ProbedAdapter:
    """Return the adapter of a checkpoint with random weights."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, processor = tiny_checkpoints.build(model_type)
        processor.tokenizer.padding_side = "left"
        make_greedy(model.generation_config, processor.tokenizer)
        return ProbedAdapter(LoadedModel(model, processor, f"tiny {model_type}"))


def image(seed: int, size: tuple[int, int] = (112, 112)) -> Image.Image:
    """Return an image of noise, of that width and height."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def samples(made: Any, sizes: tuple[tuple[int, int], ...] = ()) -> list[Sample]:
    """Return questions of unequal lengths, with images of the model's size or of those given."""
    side = min(made.image_size or 112, 448)
    asked = ("What is red?", "What is it, then, really?", "Which one?", "Where is the large thing with a hole?")
    shown = sizes or ((side, side),) * 2
    return [
        Sample(f"q{i}", i, (image(5 + i, size),), asked[i % len(asked)], "", choices=CHOICES)
        for i, size in enumerate(shown)
    ]


def logprobs(outputs: Any) -> np.ndarray:
    """Return the log-probabilities of the choices, (samples, choices)."""
    return np.array([output.logprobs for output in outputs])
