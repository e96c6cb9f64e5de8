"""LLaVA-1.5 7B and Qwen2-VL 2B with random weights in bfloat16, made on the device itself: nothing is read or written.

The sizes are those of the published config.json of `llava-hf/llava-1.5-7b-hf` and `Qwen/Qwen2-VL-2B-Instruct`. The
tokenizer is the benchmark's own, whose special tokens have other ids; the rest of the published vocabulary stands in
the embeddings and is never in a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PretrainedConfig,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from gpu_parts.workload import Workload
from vtbench_families.qwen2_vl import Qwen2VL
from vtbench_hf.checkpoint.loader import LoadedModel, make_greedy
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_llava.adapter import LlavaAdapter
from vtbench_training.small_models import llava, qwen2_vl
from vtbench_training.small_models.components import special_ids
from vtbench_training.small_models.tokenizer import train_tokenizer

LLAVA_TOWER = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": 336, "patch_size": 14, "projection_dim": 768,
}  # fmt: skip
LLAVA_DECODER = {
    "vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
}  # fmt: skip
QWEN2_VL_TOWER = {
    "embed_dim": 1280, "depth": 32, "num_heads": 16, "mlp_ratio": 4, "hidden_size": 1536, "patch_size": 14,
    "spatial_merge_size": 2, "temporal_patch_size": 2,
}  # fmt: skip
QWEN2_VL_DECODER = {
    "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
    "num_attention_heads": 12, "num_key_value_heads": 2, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}  # fmt: skip
QWEN2_VL_AREAS = (56 * 56, 28 * 28 * 16384)
"""Least and largest number of pixels of an image."""
QWEN2_VL_SIDE = 672
"""Side of the images in pixels: 576 visual tokens, as many as LLaVA-1.5 has."""

# So narrow a model needs larger weights for its answers to depend on what it is asked.
_TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
         "initializer_range": 0.3}  # fmt: skip
TINY_SIZES: Mapping[str, Mapping[str, Any]] = {
    "llava tower": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "image_size": 56, "projection_dim": 32},
    "llava decoder": {**_TINY, "num_key_value_heads": 2},
    "qwen2_vl tower": {"embed_dim": 32, "depth": 2, "num_heads": 2, "hidden_size": 64},
    "qwen2_vl decoder": {**_TINY, "num_key_value_heads": 1, "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}},
}  # fmt: skip
"""What the tiny configurations change."""
TINY_SIDE = 112
"""Side of Qwen2-VL's images there: 16 visual tokens, as the tiny LLaVA has."""


def build(name: str, load: Workload, seed: int = 0) -> MergedAdapter:
    """Return the adapter of a random model, on the device.

    Args:
        name: `llava` or `qwen2_vl`.
        load: says which sizes, and where.
        seed: of the weights.
    """
    tiny = load.sizes == "tiny"
    config = config_of(name, tiny, load.layers)
    if name == "llava":
        processor = llava.build_processor(train_tokenizer(), config.vision_config.image_size, 14)
    else:
        processor = qwen2_vl.build_processor(14, *QWEN2_VL_AREAS)
    torch.manual_seed(seed)
    with torch.device(load.device):
        model = model_class(name)._from_config(config, dtype=torch.bfloat16)
    model.generation_config.update(**special_ids())
    make_greedy(model.generation_config, processor.tokenizer)
    loaded = LoadedModel(model.eval(), processor, f"random {name}, {load.sizes} sizes")
    return LlavaAdapter(loaded) if name == "llava" else Qwen2VL(loaded, TINY_SIDE if tiny else QWEN2_VL_SIDE)


def model_class(name: str) -> Any:
    """Return the class of transformers."""
    return LlavaForConditionalGeneration if name == "llava" else Qwen2VLForConditionalGeneration


def config_of(name: str, tiny: bool = False, layers: int | None = None) -> PretrainedConfig:
    """Return a model's configuration.

    Args:
        name: `llava` or `qwen2_vl`.
        tiny: with the sizes of `TINY_SIZES` in place of the published ones; the vocabulary stays.
        layers: most layers of tower and decoder, for a try at the real widths; as many as published by default.
    """
    is_llava = name == "llava"
    tower = dict(LLAVA_TOWER if is_llava else QWEN2_VL_TOWER)
    decoder = {**(LLAVA_DECODER if is_llava else QWEN2_VL_DECODER), **special_ids()}
    if tiny:
        tower |= TINY_SIZES[f"{name} tower"]
        decoder |= TINY_SIZES[f"{name} decoder"]
    if layers is not None:
        depth = "num_hidden_layers" if is_llava else "depth"
        tower[depth] = min(layers, tower[depth])
        decoder["num_hidden_layers"] = min(layers, decoder["num_hidden_layers"])
    if is_llava:
        return LlavaConfig(
            vision_config=CLIPVisionConfig(**tower),
            text_config=LlamaConfig(**decoder),
            image_token_index=train_tokenizer().token_to_id(llava.IMAGE),
            image_seq_length=(tower["image_size"] // tower["patch_size"]) ** 2,
        )
    vocabulary = qwen2_vl.build_processor(14, *QWEN2_VL_AREAS).tokenizer.get_vocab()
    return Qwen2VLConfig(
        vision_config=tower,
        text_config=decoder,
        image_token_id=vocabulary[qwen2_vl.PAD],
        video_token_id=vocabulary[qwen2_vl.VIDEO],
        vision_start_token_id=vocabulary[qwen2_vl.START],
        vision_end_token_id=vocabulary[qwen2_vl.END],
        tie_word_embeddings=True,
    )
