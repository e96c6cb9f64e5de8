"""Models of 2026 with towers and decoders of their own: Muse, Inkling, HunYuan, Nemotron, MiniMax."""

from __future__ import annotations

from collections.abc import Mapping

from tiny_checkpoints.recipe import VOCABULARY, Part, Recipe, Token
from tiny_checkpoints.sizes import TOWER, bounded, chat, language, text

_MUSE_TOKENS = ("<|image_start|>", "<|image_end|>", "<|vid_start|>", "<|vid_end|>", "<|vid_frame_separator|>")
_MUSE = {
    "vision_config": {
        **TOWER,
        "patch_size": 14,
        "pos_emb_height": 8,
        "pos_emb_width": 8,
        "max_position_embeddings": 64,
    },
    "image_token_id": Token("<|patch|>"),
    "video_token_id": Token("<|video|>"),
    "out_hidden_size": 32 * 4,
    "projector_hidden_size": 64,
}
_MUSE_PARTS = {
    "image_processor": Part("MuseGlimmerImageProcessor", {"max_image_tokens": 16}),
    "video_processor": Part("MuseGlimmerVideoProcessor"),
}
_MUSE_NAMED = {"image_token": "<|patch|>", "video_token": "<|video|>"}
_INKLING = {
    "head_dim": 16,
    "swa_num_attention_heads": 2,
    "swa_num_key_value_heads": 2,
    "swa_head_dim": 16,
    "sliding_window_size": 64,
    "moe_intermediate_size": 32,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
}

RECIPES: Mapping[str, Recipe] = {
    "muse_glimmer": Recipe(
        config={**_MUSE, "text_config": text(head_dim=16, sliding_window=64)},
        processor="MuseGlimmerProcessor",
        parts=_MUSE_PARTS,
        chat=chat("<|patch|>"),
        tokens=_MUSE_TOKENS,
        named=_MUSE_NAMED,
    ),
    "muse_spark": Recipe(
        config={
            **_MUSE,
            "text_config": text(
                head_dim=16,
                sliding_window=64,
                moe_intermediate_size=32,
                num_local_experts=4,
                num_experts_per_tok=2,
                moe_hidden_size=32,
            ),
            "audio_config": {
                "hidden_sizes": (8, 8, 16, 16),
                "depths": (1, 1, 1, 1),
                "num_hidden_layers": 4,
                "out_hidden_size": 32,
            },
            "audio_token_id": Token("<|audio|>"),
        },
        processor="MuseSparkProcessor",
        parts={**_MUSE_PARTS, "feature_extractor": Part("MuseSparkFeatureExtractor")},
        chat=chat("<|patch|>"),
        tokens=(*_MUSE_TOKENS, "<|soft_audio_start|>", "<|soft_audio_end|>"),
        named={**_MUSE_NAMED, "audio_token": "<|audio|>"},
    ),
    "inkling_mm_model": Recipe(
        config={
            "text_config": text(**_INKLING, n_shared_experts=1, logits_mup_width_multiplier=1.0),
            "audio_config": {"text_hidden_size": 32},
            "vision_config": {
                "text_hidden_size": 32,
                "patch_size": 40,
                "hidden_size": 32,
                "num_hidden_layers": 4,
                "num_attention_heads": 2,
            },
            "image_token_id": Token("<|unused_200054|>"),
            "audio_token_id": Token("<|unused_200053|>"),
            "image_bos_token_id": Token("<|content_image|>"),
            "audio_bos_token_id": Token("<|content_audio_input|>"),
        },
        processor="InklingProcessor",
        parts={
            "feature_extractor": Part("InklingFeatureExtractor"),
            "image_processor": Part("InklingImageProcessor"),
        },
        chat=chat("<|content_image|><|unused_200054|>"),
        tokens=("<|content_image|>", "<|content_audio_input|>"),
        named={"image_token": "<|unused_200054|>", "audio_token": "<|unused_200053|>"},
    ),
    "inkling2": Recipe(
        config={
            "text_config": text(**_INKLING, unpadded_vocab_size=VOCABULARY, n_layers_per_attn_res_block=2),
            "vision_config": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "patch_size": 20,
                "projection_hidden_dim": 64,
                "text_hidden_size": 32,
                "posemb_grid_size": 8,
            },
            "image_token_id": Token("<|unused_200054|>"),
        },
        processor="Inkling2Processor",
        parts={"image_processor": Part("Inkling2ImageProcessor")},
        chat=chat("<|unused_200054|>"),
        named={"image_token": "<|unused_200054|>"},
    ),
    "hunyuan_vl": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "out_hidden_size": 32,
                "patch_size": 16,
                "text_hidden_size": 32,
                "max_image_size": 256,
                "min_image_size": 32,
                "img_max_token_num": 64,
            },
            "text_config": text(
                head_dim=16,
                rope_parameters={
                    "rope_type": "xdrope",
                    "rope_theta": 1e4,
                    "alpha": 1000.0,
                    "xdrope_section": [2, 2, 2, 2],
                    "factor": 1.0,
                },
            ),
            "image_token_id": Token("<image>"),
            "im_start_id": Token("<im_start>"),
            "im_end_id": Token("<im_end>"),
            "im_newline_id": Token("<im_newline>"),
        },
        processor="HunYuanVLProcessor",
        parts={
            "image_processor": Part(
                "HunYuanVLImageProcessor", {"size": {"shortest_edge": 64 * 64, "longest_edge": 128 * 128}}
            )
        },
        chat=chat("<im_start><image><im_end>"),
        named={
            "image_token": "<image>",
            "image_start_token": "<im_start>",
            "image_end_token": "<im_end>",
            "im_newline": "<im_newline>",
        },
    ),
    "nemotron_h_omni": Recipe(
        config={
            "vision_config": Part(
                "RadioConfig", {**TOWER, "image_size": 112, "patch_size": 16, "video_temporal_patch_size": 2}
            ),
            "text_config": language(
                "NemotronHConfig",
                layers_block_type=["mamba", "attention", "mamba", "moe"],
                mamba_num_heads=4,
                mamba_head_dim=16,
                ssm_state_size=16,
                n_groups=2,
                head_dim=16,
                n_routed_experts=4,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                moe_shared_expert_intermediate_size=32,
                n_group=1,
                topk_group=1,
            ),
            "audio_config": None,
            "projector_hidden_size": 64,
            "vision_hidden_size": 32,
            "image_token_id": Token("<image>"),
            "video_token_id": Token("<video>"),
            "audio_token_id": Token("<so_embedding>"),
        },
        processor="NemotronH_Omni_Reasoning_V3Processor",
        parts={
            "image_processor": Part("NemotronH_Omni_Reasoning_V3ImageProcessor"),
            "video_processor": Part("NemotronH_Omni_Reasoning_V3VideoProcessor"),
            "feature_extractor": Part("ParakeetFeatureExtractor"),
        },
        chat=chat("<image>"),
        tokens=("<img>", "</img>", "<so_start>", "<so_end>"),
        named={"image_token": "<image>", "video_token": "<video>", "audio_token": "<so_embedding>"},
    ),
    "minimax_m3_vl": Recipe(
        config={
            "vision_config": {**TOWER, "image_size": 112, "patch_size": 14},
            "text_config": text(
                head_dim=16,
                rotary_dim=8,
                num_local_experts=4,
                num_experts_per_tok=2,
                dense_intermediate_size=64,
                shared_intermediate_size=32,
                index_n_heads=2,
                index_head_dim=16,
                index_topk_blocks=16,
                index_block_size=128,
            ),
            "image_token_index": Token("]<]image[>["),
            "video_token_index": Token("]<]video[>["),
            "projector_hidden_size": 64,
        },
        processor="MiniMaxM3VLProcessor",
        parts={
            "image_processor": bounded("MiniMaxM3VLImageProcessor", 14),
            "video_processor": Part("MiniMaxM3VLVideoProcessor"),
        },
        chat=chat("]<]image[>["),
        tokens=("]<]image[>[", "]<]video[>[", "]<]start of image[>[", "]<]end of image[>["),
    ),
}
