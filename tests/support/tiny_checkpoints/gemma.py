"""Gemma's line: SigLIP or MobileNet towers, decoders with sliding windows, an encoder-decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.recipe import VOCABULARY, Part, Recipe, Token
from tiny_checkpoints.sizes import MIXED, TOWER, chat, exact, siglip, text

TOKENS = ("<start_of_turn>", "<end_of_turn>")
NAMED = {
    "boi_token": "<start_of_image>",
    "image_token": "<image_soft_token>",
    "eoi_token": "<end_of_image>",
    "boa_token": "<start_of_audio>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
    "video_token": "<|video|>",
}
IMAGE_IDS: Mapping[str, Any] = {
    "image_token_index": Token("<image_soft_token>"),
    "boi_token_index": Token("<start_of_image>"),
    "eoi_token_index": Token("<end_of_image>"),
}
AUDIO_IDS: Mapping[str, Any] = {
    "image_token_id": Token("<image_soft_token>"),
    "boi_token_id": Token("<start_of_image>"),
    "eoi_token_id": Token("<end_of_image>"),
    "audio_token_id": Token("<audio_soft_token>"),
    "boa_token_id": Token("<start_of_audio>"),
}
POOLED = {"mm_tokens_per_image": 16, **IMAGE_IDS}
DECODER = {"head_dim": 16, **MIXED}
_GEMMA4_TOWER = {
    **TOWER,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pooling_kernel_size": 3,
    "patch_size": 16,
    "position_embedding_size": 64,
}
PER_LAYER = {"vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8}


def _chat(image: str) -> str:
    return chat(image, "<start_of_turn>user\n", "<end_of_turn>\n", "<start_of_turn>model\n", "{{ bos_token }}")


def _gemma3(config: Mapping[str, Any], template: str) -> Recipe:
    return Recipe(
        config=config,
        processor="Gemma3Processor",
        parts={"image_processor": exact(56, "Gemma3ImageProcessor"), "image_seq_length": 16},
        chat=template,
        tokens=TOKENS,
        named=NAMED,
    )


def _gemma4_parts(prefix: str) -> dict[str, Any]:
    values = {"patch_size": 16, "pooling_kernel_size": 3, "max_soft_tokens": 70}
    return {
        "feature_extractor": Part(f"{prefix}AudioFeatureExtractor"),
        "image_processor": Part(f"{prefix}ImageProcessor", values),
        "video_processor": Part(f"{prefix}VideoProcessor"),
        "image_seq_length": 70,
    }


def _gemma4(prefix: str, vision: Mapping[str, Any], audio: Mapping[str, Any] | None, **decoder: Any) -> Recipe:
    return Recipe(
        config={
            "text_config": text(global_head_dim=16, **DECODER, **decoder),
            "vision_config": vision,
            "audio_config": audio,
            "eoa_token_index": Token("<end_of_audio>"),
            "video_token_id": Token("<|video|>"),
            **AUDIO_IDS,
        },
        processor=f"{prefix}Processor",
        parts=_gemma4_parts(prefix),
        chat=_chat("<image_soft_token>"),
        tokens=TOKENS,
        named=NAMED,
    )


RECIPES: Mapping[str, Recipe] = {
    "shieldgemma2": _gemma3(
        {"vision_config": siglip(56, 7), "text_config": text(**DECODER), **POOLED}, _chat("<start_of_image>")
    ),
    "t5gemma2": Recipe(
        config={
            "encoder": {
                "text_config": text(**DECODER),
                "vision_config": {**TOWER, "image_size": 56, "patch_size": 7, "vision_use_head": False},
                **POOLED,
            },
            "decoder": text(**DECODER),
            "image_token_index": Token("<image_soft_token>"),
            "eoi_token_index": Token("<end_of_image>"),
        },
        processor="Gemma3Processor",
        parts={"image_processor": exact(56, "Gemma3ImageProcessor"), "image_seq_length": 16},
        chat=chat("<start_of_image>", "", "\n", "", "{{ bos_token }}"),
        tokens=TOKENS,
        named=NAMED,
        generation={"decoder_start_token_id": 1},
    ),
    "gemma3n": Recipe(
        config={
            "text_config": text(
                **DECODER,
                **PER_LAYER,
                num_kv_shared_layers=0,
                laurel_rank=8,
                altup_num_inputs=2,
                activation_sparsity_pattern=[0.0] * 4,
            )
            | {"intermediate_size": [64] * 4},
            "vision_config": {
                "architecture": "mobilenetv5_300m_enc",
                "hidden_size": 2048,
                "vocab_size": 16,
                "vocab_offset": VOCABULARY - 32,
                "model_args": {"channel_multiplier": 0.25},
            },
            "audio_config": {
                "hidden_size": 32,
                "conf_num_attention_heads": 2,
                "conf_num_hidden_layers": 1,
                "vocab_size": 16,
                "vocab_offset": VOCABULARY - 16,
                "input_feat_size": 32,
                "sscp_conv_channel_size": (8, 8),
            },
            "vision_soft_tokens_per_image": 256,
            "eoa_token_id": Token("<end_of_audio>"),
            **AUDIO_IDS,
        },
        processor="Gemma3nProcessor",
        parts={
            "feature_extractor": Part("Gemma3nAudioFeatureExtractor"),
            "image_processor": exact(256, "SiglipImageProcessor", do_normalize=False),
        },
        chat=_chat("<image_soft_token>"),
        tokens=TOKENS,
        named=NAMED,
    ),
    "gemma4": _gemma4(
        "Gemma4",
        _GEMMA4_TOWER,
        None,
        **PER_LAYER,
    ),
    "diffusion_gemma": Recipe(
        config={
            "text_config": text(
                **DECODER,
                global_head_dim=16,
                num_experts=4,
                top_k_experts=2,
                moe_intermediate_size=32,
            ),
            "vision_config": _GEMMA4_TOWER,
            "canvas_length": 16,
            "image_token_id": Token("<image_soft_token>"),
            "boi_token_id": Token("<start_of_image>"),
            "eoi_token_id": Token("<end_of_image>"),
        },
        processor="Gemma4Processor",
        parts=_gemma4_parts("Gemma4"),
        chat=_chat("<image_soft_token>"),
        tokens=TOKENS,
        named=NAMED,
    ),
    "gemma4_unified": _gemma4(
        "Gemma4Unified",
        {
            "patch_size": 16,
            "pooling_kernel_size": 3,
            "mm_embed_dim": 32,
            "mm_posemb_size": 64,
            "output_proj_dims": 32,
        },
        {"audio_embed_dim": 16},
    ),
}
