"""Qwen's line, and models on its tower, its processor or its decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tiny_checkpoints.recipe import Part, PromptFacts, Recipe, Token
from tiny_checkpoints.sizes import EXPERTS, LINEAR, MIXED, TOWER, bounded, chatml, rope, text

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
TOKENS = ("<|im_start|>", "<|im_end|>")
NAMED = {
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
}
IDS: Mapping[str, Any] = {
    "image_token_id": Token("<|image_pad|>"),
    "video_token_id": Token("<|video_pad|>"),
    "vision_start_token_id": Token("<|vision_start|>"),
    "vision_end_token_id": Token("<|vision_end|>"),
}
MEDIA = {key: IDS[key] for key in ("image_token_id", "video_token_id")}
WINDOWED = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 14,
    "window_size": 56,
    "out_hidden_size": 32,
    "fullatt_block_indexes": [1],
}
"""The tower of Qwen2.5-VL."""
DEEP = {
    "depth": 4,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 16,
    "out_hidden_size": 32,
    "num_position_embeddings": 64,
}
"""The tower of Qwen3-VL."""
STACKED = {**DEEP, "deepstack_visual_indexes": [0, 1, 2]}
INTERLEAVED = rope(2, 3, 3, mrope_interleaved=True)
HYBRID = {"head_dim": 16, "rope_parameters": {**INTERLEAVED, "partial_rotary_factor": 1.0}, **LINEAR}
FOUR_EXPERTS = {**EXPERTS, "num_experts": 4}
SHARED_EXPERT = {**FOUR_EXPERTS, "shared_expert_intermediate_size": 32}
SIGLIP2 = {**TOWER, "patch_size": 16, "num_patches": 64}


def qwen(config: Mapping[str, Any], processor: str, patch_size: int, video: str, **more: Any) -> Recipe:
    """Return the recipe of a model with Qwen2-VL's image processor."""
    parts = {
        "image_processor": bounded("Qwen2VLImageProcessor", patch_size, temporal_patch_size=2),
        "video_processor": Part(video, {"patch_size": patch_size, "merge_size": 2, "temporal_patch_size": 2}),
    }
    named = {"chat": chatml(IMAGE), "tokens": TOKENS, "named": NAMED} | more
    return Recipe(config=config, processor=processor, parts=parts, **named)


def _third(vision: Mapping[str, Any], decoder: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a model with Qwen3-VL's processor."""
    config = {"vision_config": vision, "text_config": decoder, **IDS}
    return qwen(config, "Qwen3VLProcessor", 16, "Qwen3VLVideoProcessor")


def _omni(config: Mapping[str, Any], processor: str, patch_size: int) -> Recipe:
    """Return the recipe of a model that also hears."""
    audio = {
        "num_mel_bins": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "d_model": 32,
        "max_source_positions": 100,
        "output_dim": 32,
    }
    marks = {
        "vision_bos_token": "<|vision_bos|>",
        "vision_eos_token": "<|vision_eos|>",
        "audio_bos_token": "<|audio_bos|>",
        "audio_eos_token": "<|audio_eos|>",
        "audio_token": "<|AUDIO|>",
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
    }
    starts = {"vision_start_token_id": Token("<|vision_bos|>"), "vision_end_token_id": Token("<|vision_eos|>")}
    return Recipe(
        config={**config, "audio_config": {**audio, **config.get("audio_config", {})}, "pad_token_id": 0, **starts},
        processor=processor,
        parts={
            "image_processor": bounded("Qwen2VLImageProcessor", patch_size, temporal_patch_size=2),
            "video_processor": Part("Qwen2VLVideoProcessor"),
            "feature_extractor": Part("WhisperFeatureExtractor", {"feature_size": 16}),
        },
        chat=chatml("<|vision_bos|><|image_pad|><|vision_eos|>"),
        tokens=TOKENS,
        named=marks,
    )


def _silent(thinker: Recipe, **files: Any) -> Recipe:
    """Return the recipe of a whole Qwen omni model that does not speak."""
    return replace(thinker, config={"thinker_config": thinker.config, "enable_audio_output": False}, files=files)


_THINKER2_5 = {
    "vision_config": WINDOWED,
    "text_config": text(rope_parameters=rope(2, 3, 3)),
    "image_token_index": Token("<|image_pad|>"),
    "video_token_index": Token("<|video_pad|>"),
    "audio_token_index": Token("<|AUDIO|>"),
}
_THINKER3 = {
    "vision_config": STACKED,
    "audio_config": {"downsample_hidden_size": 16},
    "text_config": text(head_dim=16, rope_parameters=INTERLEAVED, **FOUR_EXPERTS),
    "audio_token_id": Token("<|AUDIO|>"),
    **MEDIA,
}

RECIPES: Mapping[str, Recipe] = {
    "qwen2_vl": qwen(
        {
            "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
            "text_config": text(rope_parameters=rope(2, 3, 3)),
            **IDS,
        },
        "Qwen2VLProcessor",
        14,
        "Qwen2VLVideoProcessor",
    ),
    "qwen2_5_vl": qwen(
        {"vision_config": WINDOWED, "text_config": text(rope_parameters=rope(2, 3, 3)), **IDS},
        "Qwen2_5_VLProcessor",
        14,
        "Qwen2VLVideoProcessor",
    ),
    "qwen3_vl": _third(STACKED, text(head_dim=16, rope_parameters=INTERLEAVED)),
    "qwen3_vl_moe": _third(STACKED, text(head_dim=16, rope_parameters=INTERLEAVED, **FOUR_EXPERTS)),
    "qwen3_5": _third(DEEP, text(**HYBRID)),
    "qwen3_5_moe": _third(DEEP, text(**HYBRID, **SHARED_EXPERT)),
    "qwen4_exp": _third(
        DEEP,
        text(
            **HYBRID,
            **SHARED_EXPERT,
            hc_count=2,
            hc_lowrank=8,
            indexer_n_heads=2,
            indexer_kv_heads=1,
            indexer_head_dim=16,
            indexer_budget=4096,
            indexer_compress_ratio=4,
        ),
    ),
    "qwen2_5_omni_thinker": _omni(_THINKER2_5, "Qwen2_5OmniProcessor", 14),
    "qwen2_5_omni": _silent(_omni(_THINKER2_5, "Qwen2_5OmniProcessor", 14), **{"spk_dict.pt": {}}),
    "qwen3_omni_moe_thinker": _omni(_THINKER3, "Qwen3OmniMoeProcessor", 16),
    "qwen3_omni_moe": _silent(_omni(_THINKER3, "Qwen3OmniMoeProcessor", 16)),
    "exaone4_5": qwen(
        {
            "vision_config": {**WINDOWED, "num_key_value_heads": 2},
            "text_config": text("exaone4", head_dim=16, **MIXED),
            **MEDIA,
        },
        "Exaone4_5_Processor",
        14,
        "Qwen2VLVideoProcessor",
    ),
    "hyperclovax_vision_v2": qwen(
        {
            "vision_config": {"model_type": "qwen2_5_vl_vision", **WINDOWED},
            "text_config": text("hyperclovax", head_dim=16),
            **MEDIA,
        },
        "HyperCLOVAXVisionV2Processor",
        14,
        "Qwen2VLVideoProcessor",
    ),
    "lfm3_vl": qwen(
        {
            "vision_config": {**TOWER, "num_key_value_heads": 2, "patch_size": 16},
            "text_config": text("lfm2", layer_types=["conv", "full_attention"] * 2),
            "projector_hidden_size": 64,
            **IDS,
        },
        "Lfm3VlProcessor",
        16,
        "Qwen3VLVideoProcessor",
    ),
    "cosmos3_edge": Recipe(
        config={
            "vision_config": SIGLIP2,
            "text_config": text(head_dim=16, rope_parameters=INTERLEAVED),
            "projector_hidden_size": 64,
            **IDS,
        },
        processor="Cosmos3EdgeProcessor",
        parts={
            "image_processor": Part(
                "Cosmos3EdgeImageProcessor", {"size": {"shortest_edge": 64 * 64, "longest_edge": 128 * 128}}
            ),
            "video_processor": Part("Cosmos3EdgeVideoProcessor"),
        },
        chat=chatml(IMAGE),
        tokens=TOKENS,
        named=NAMED,
        facts=PromptFacts(processor_call={"return_mm_token_type_ids": True}),
    ),
    "video_llama_3": Recipe(
        config={"vision_config": {**TOWER, "patch_size": 14}, "text_config": text("qwen2"), **MEDIA},
        processor="VideoLlama3Processor",
        parts={
            "image_processor": bounded("VideoLlama3ImageProcessor", 14),
            "video_processor": Part("VideoLlama3VideoProcessor"),
        },
        chat=chatml("<|image_pad|>\n"),
        tokens=TOKENS,
        named=NAMED,
    ),
}
