"""Relatives of Qwen3-VL, MiniCPM-V, GOT-OCR, DeepSeek-OCR and Kosmos-2, and mixtures of experts of 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.qwen import HYBRID, IDS, INTERLEAVED, STACKED, TOKENS, qwen
from tiny_checkpoints.recipe import VOCABULARY, Part, Recipe, Token
from tiny_checkpoints.sizes import (
    CHATML,
    EXPERTS,
    LATENT,
    MIXED,
    SPECIAL,
    TOWER,
    bounded,
    chat,
    chatml,
    exact,
    language,
    rope,
    sam,
    text,
)

_COHERE_IMAGE = "<|VISION_START|><|IMAGE_PAD|><|VISION_END|>"
_ROPE = rope(2, 3, 3)

_MINICPM_NAMED = {
    "image_token": "<unk_img>",
    "video_token": "<unk_vid>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}


def _minicpm(line: str, **more: Any) -> Recipe:
    """Return the recipe of a MiniCPM-V: SigLIP slices, merged inside the tower, before a Qwen3.5.

    Args:
        line: what its classes' names begin with.
        **more: further arguments of its config.
    """
    tower = {**TOWER, "num_hidden_layers": 4, "image_size": 112, "patch_size": 14, "insert_layer_id": 1}
    image = "MiniCPMV4_6" if line == "MiniCPMV4_7" else line
    return Recipe(
        config={
            "vision_config": tower,
            "text_config": language("Qwen3_5TextConfig", **HYBRID),
            "image_token_id": Token("<unk_img>"),
            "video_token_id": Token("<unk_vid>"),
            **more,
        },
        processor=f"{line}Processor",
        parts={
            "image_processor": Part(f"{image}ImageProcessor", {"scale_resolution": 112, "max_slice_nums": 4}),
            "video_processor": Part(f"{image}VideoProcessor", {"scale_resolution": 112}),
        },
        chat=chatml("<unk_img>\n"),
        tokens=TOKENS,
        named=_MINICPM_NAMED,
    )


_MINICPM_IDS = {
    "image_start_id": Token("<image>"),
    "image_end_id": Token("</image>"),
    "slice_start_id": Token("<slice>"),
    "slice_end_id": Token("</slice>"),
    "newline_id": 14,
}

RECIPES: Mapping[str, Recipe] = {
    "cosmos3_omni": qwen(
        {"vision_config": STACKED, "text_config": text(head_dim=16, rope_parameters=INTERLEAVED), **IDS},
        "Qwen3VLProcessor",
        16,
        "Qwen3VLVideoProcessor",
    ),
    "cohere_compass": Recipe(
        config={
            "vision_config": STACKED,
            "text_config": text(rope_parameters=dict.fromkeys(("sliding_attention", "full_attention"), _ROPE), **MIXED),
            "image_token_id": Token("<|IMAGE_PAD|>"),
            "video_token_id": Token("<|VIDEO_PAD|>"),
            "vision_start_token_id": Token("<|VISION_START|>"),
            "vision_end_token_id": Token("<|VISION_END|>"),
        },
        processor="CohereCompassProcessor",
        parts={
            "image_processor": bounded("CohereCompassImageProcessor", 16, temporal_patch_size=2),
            "video_processor": Part("CohereCompassVideoProcessor", {"patch_size": 16, "merge_size": 2}),
        },
        chat=chat(_COHERE_IMAGE, "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>"),
        tokens=(
            *("<|VISION_START|>", "<|VISION_END|>", "<|IMAGE_PAD|>", "<|VIDEO_PAD|>"),
            *("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        ),
    ),
    "dots3_note": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "patch_size": 14,
                "mlp_layer_types": ["dense", "dense"],
                "adapter_in_dim": 32,
                "adapter_out_dim": 32,
            },
            "text_config": text(
                head_dim=24,
                n_routed_experts=4,
                index_topk=4096,
                index_head_dim=16,
                index_n_heads=2,
                shared_experts_intermediate_size=32,
                mlp_layer_types=["dense", "sparse", "sparse", "sparse"],
                layer_types=["full_attention"] * 4,
                **EXPERTS,
                **LATENT,
            ),
            "audio_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "downsample_hidden_size": 8,
                "adapter_input_size": 32,
                "adapter_out_dim": 32,
            },
            "image_token_id": Token("<|imgpad|>"),
            "video_token_id": Token("<|video_pad|>"),
            "audio_token_id": Token("<|audio_comp_pad|>"),
        },
        processor="Dots3NoteProcessor",
        parts={
            "image_processor": bounded("Qwen2VLImageProcessor", 14, temporal_patch_size=1),
            "video_processor": Part("Qwen3VLVideoProcessor", {"patch_size": 14}),
            "feature_extractor": Part("Dots3NoteFeatureExtractor"),
        },
        chat=chatml("<|img|><|imgpad|><|endofimg|>"),
        tokens=(*CHATML, "<|img|>", "<|imgpad|>", "<|endofimg|>", "<|video_pad|>", "<|audio_comp_pad|>"),
    ),
    "minicpmv4_6": _minicpm("MiniCPMV4_6", insert_layer_id=1, image_size=112),
    "minicpmv4_7": _minicpm("MiniCPMV4_7", insert_layer_id=1, image_size=112, **_MINICPM_IDS),
    "minicpm_ocr": _minicpm("MiniCPMOcr"),
    "unlimited_ocr": Recipe(
        config={
            "vision_config": {
                "sam_config": {
                    **sam(128),
                    "window_size": 4,
                    "downsample_channels": [16, 32],
                },
                "encoder_config": {**TOWER, "image_size": 28, "patch_size": 14},
            },
            "text_config": text(
                n_routed_experts=4,
                n_shared_experts=1,
                head_dim=16,
                mlp_layer_types=["dense", "sparse", "sparse", "sparse"],
                sliding_window=1024,
                **EXPERTS,
            ),
            "image_token_id": Token("<image>"),
        },
        processor="UnlimitedOcrProcessor",
        parts={"image_processor": exact(128, "UnlimitedOcrImageProcessor", tile_size=128)},
        chat=chat("<image>"),
        named={"image_token": "<image>"},
    ),
    "pp_chart2table": Recipe(
        config={
            "vision_config": sam(),
            "text_config": text("qwen2"),
            "image_token_index": Token("<imgpad>"),
            "image_seq_length": 4,
        },
        processor="PPChart2TableProcessor",
        parts={"image_processor": exact(128, "PPChart2TableImageProcessor")},
        chat=chatml("<img>" + "<imgpad>" * 4 + "</img>"),
        tokens=("<img>", "</img>", "<imgpad>", *CHATML),
    ),
    "kosmos-2.5": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "patch_embed_hidden_size": 768,
                "head_dim": 16,
                "max_num_patches": 4096,
            },
            "text_config": {
                "vocab_size": VOCABULARY,
                "embed_dim": 32,
                "layers": 4,
                "ffn_dim": 64,
                "attention_heads": 2,
                "max_position_embeddings": 1024,
                "dropout": 0.0,
                **SPECIAL,
            },
            "latent_query_num": 8,
        },
        processor="Kosmos2_5Processor",
        parts={"image_processor": Part("Kosmos2_5ImageProcessor"), "num_image_tokens": 8},
        named={"boi_token": "<image>", "eoi_token": "</image>", "image_token": "<patch>"},
    ),
}
