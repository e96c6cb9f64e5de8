"""Further models of 2026: relatives of GLM, Qwen3-VL and DeepSeek-OCR with decoders or towers of their own."""

from __future__ import annotations

from collections.abc import Mapping

from tiny_checkpoints.qwen import IDS, INTERLEAVED, STACKED, minicpm, qwen
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
    rope,
    sam,
    text,
)

_COHERE_IMAGE = "<|VISION_START|><|IMAGE_PAD|><|VISION_END|>"
_ROPE = rope(2, 3, 3)

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
    "minicpm_ocr": minicpm("MiniCPMOcr"),
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
        chat=chatml("<img><imgpad></img>"),
        tokens=("<img>", "</img>", "<imgpad>", *CHATML),
    ),
    "kosmos-2.5": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "patch_embed_hidden_size": 768,
                "head_dim": 16,
                "max_num_patches": 64,
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
        parts={"image_processor": Part("Kosmos2_5ImageProcessor", {"max_patches": 64}), "num_image_tokens": 8},
        named={"boi_token": "<image>", "eoi_token": "</image>", "image_token": "<patch>"},
    ),
}
