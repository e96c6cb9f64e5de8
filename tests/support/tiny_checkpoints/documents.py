"""Readers of documents and models of one kind each: OCR towers, timm towers, convolutional decoders, speech beside."""

from __future__ import annotations

from collections.abc import Mapping

from tiny_checkpoints.recipe import Part, PromptFacts, Recipe, Token
from tiny_checkpoints.sizes import CHATML, TOWER, bounded, chat, chatml, exact, rope, sam, text

_ERNIE_IMAGE = "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"
_ERNIE_TURNS = {"user": "User: ", "end": "\n", "answer": "Assistant: "}

RECIPES: Mapping[str, Recipe] = {
    "got_ocr2": Recipe(
        config={
            "vision_config": {**sam(1024), "global_attn_indexes": []},
            "text_config": text("qwen2"),
            "image_token_index": Token("<imgpad>"),
            "image_seq_length": 256,
        },
        processor="GotOcr2Processor",
        parts={"image_processor": exact(1024, "GotOcr2ImageProcessor")},
        facts=PromptFacts(prompt="<img><imgpad></img>{question}"),
        tokens=("<img>", "</img>", "<imgpad>", *CHATML),
    ),
    "paddleocr_vl": Recipe(
        config={
            "vision_config": {**TOWER, "image_size": 56, "patch_size": 14},
            "text_config": text(head_dim=16, rope_parameters=rope(2, 3, 3)),
            "image_token_id": Token("<|IMAGE_PLACEHOLDER|>"),
            "video_token_id": Token("<|VIDEO_PLACEHOLDER|>"),
            "vision_start_token_id": Token("<|IMAGE_START|>"),
            "vision_end_token_id": Token("<|IMAGE_END|>"),
        },
        processor="PaddleOCRVLProcessor",
        parts={"image_processor": bounded("PaddleOCRVLImageProcessor", 14)},
        chat=chat(_ERNIE_IMAGE, **_ERNIE_TURNS),
        tokens=("<|IMAGE_START|>", "<|IMAGE_END|>"),
        named={"image_token": "<|IMAGE_PLACEHOLDER|>", "video_token": "<|VIDEO_PLACEHOLDER|>"},
    ),
    "ernie4_5_vl_moe": Recipe(
        config={
            "vision_config": {
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_heads": 2,
                "patch_size": 14,
            },
            "text_config": text(
                moe_intermediate_size=[32, 32],
                moe_k=2,
                moe_num_experts=4,
                moe_num_shared_experts=1,
                mlp_layer_types=["dense", "sparse", "sparse", "sparse"],
                rope_parameters=rope(3, 3, 2),
            ),
            "image_token_id": Token("<|IMAGE_PLACEHOLDER|>"),
            "image_start_token_id": Token("<|IMAGE_START|>"),
            "image_end_token_id": Token("<|IMAGE_END|>"),
            "video_token_id": Token("<|VIDEO_PLACEHOLDER|>"),
            "video_start_token_id": Token("<|VIDEO_START|>"),
            "video_end_token_id": Token("<|VIDEO_END|>"),
        },
        processor="Ernie4_5_VLMoeProcessor",
        parts={
            "image_processor": bounded("Ernie4_5_VLMoeImageProcessor", 14),
            "video_processor": Part("Ernie4_5_VLMoeVideoProcessor", {"draw_on_frames": False}),
        },
        chat=chat(f"Picture 1:{_ERNIE_IMAGE}", **_ERNIE_TURNS),
        named={
            "image_token": "<|IMAGE_PLACEHOLDER|>",
            "image_start_token": "<|IMAGE_START|>",
            "image_end_token": "<|IMAGE_END|>",
            "video_token": "<|VIDEO_PLACEHOLDER|>",
            "video_start_token": "<|VIDEO_START|>",
            "video_end_token": "<|VIDEO_END|>",
        },
    ),
    "perception_lm": Recipe(
        config={
            "vision_config": Part(
                "TimmWrapperConfig",
                {
                    "architecture": "vit_pe_core_large_patch14_336",
                    "do_pooling": False,
                    "num_classes": 1000,
                    "num_features": 32,
                    "global_pool": "map",
                    "model_args": {
                        "embed_dim": 32,
                        "img_size": [28, 28],
                        "depth": 2,
                        "num_heads": 2,
                        "global_pool": "",
                        "use_post_transformer_norm": False,
                        "init_values": 0.1,
                        "ref_feat_shape": [2, 2],
                    },
                },
            ),
            "text_config": text("llama"),
            "vision_use_cls_token": True,
            "projector_pooling_ratio": 1,
            "image_token_id": Token("<|image|>"),
            "video_token_id": Token("<|video|>"),
        },
        processor="PerceptionLMProcessor",
        parts={
            "image_processor": Part(
                "PerceptionLMImageProcessor",
                {"tile_size": 28, "vision_input_type": "thumb+tile", "max_num_tiles": 4},
            ),
            "video_processor": Part("PerceptionLMVideoProcessor"),
            "patch_size": 14,
            "pooling_ratio": 1,
        },
        chat=chat("<|image|>"),
        named={"image_token": "<|image|>", "video_token": "<|video|>"},
    ),
    "lfm2_vl": Recipe(
        config={
            "vision_config": Part(
                "Siglip2VisionConfig", {**TOWER, "num_patches": 64, "patch_size": 16, "vision_use_head": False}
            ),
            "text_config": text("lfm2", layer_types=["conv", "full_attention"] * 2),
            "image_token_id": Token("<image>"),
            "projector_hidden_size": 64,
        },
        processor="Lfm2VlProcessor",
        parts={
            "image_processor": Part(
                "Lfm2VlImageProcessor",
                {
                    "tile_size": 64,
                    "min_image_tokens": 4,
                    "max_image_tokens": 16,
                    "encoder_patch_size": 16,
                    "min_tiles": 2,
                    "max_tiles": 4,
                },
            )
        },
        chat=chatml("<image>"),
        tokens=(
            *CHATML,
            *(f"<|img_row_{row}_col_{column}|>" for row in range(1, 4) for column in range(1, 4)),
        ),
        named={
            "image_token": "<image>",
            "image_start_token": "<|image_start|>",
            "image_end_token": "<|image_end|>",
            "image_thumbnail": "<|img_thumbnail|>",
        },
    ),
    "aria": Recipe(
        config={
            "vision_config": Part("Idefics3VisionConfig", {**TOWER, "image_size": 980, "patch_size": 70}),
            "text_config": text("aria_text", moe_num_experts=4, moe_topk=2),
            "projector_patch_to_query_dict": {49: 4, 196: 16},
            "image_token_index": Token("<image>"),
        },
        processor="AriaProcessor",
        parts={
            "image_processor": Part("AriaImageProcessor", {"max_image_size": 490, "min_image_size": 336}),
            "size_conversion": {490: 4, 980: 16},
        },
        chat=chat("<fim_prefix><image><fim_suffix>", "user\n"),
        tokens=("<fim_prefix>", "<fim_suffix>", "<unk>"),
        named={"image_token": "<image>"},
        tokenizer={"unk_token": "<unk>"},
    ),
    "phi4_multimodal": Recipe(
        config={
            **text(max_position_embeddings=4096, original_max_position_embeddings=4096),
            "vision_config": {
                **TOWER,
                "image_size": 448,
                "crop_size": 448,
                "patch_size": 14,
                "image_token_id": Token("<|image|>"),
            },
            "audio_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_blocks": 1,
                "num_attention_heads": 2,
                "ext_pw_out_channel": 32,
                "depthwise_separable_out_channel": 32,
                "input_size": 16,
                "nemo_conv_channels": 32,
                "audio_token_id": Token("<|audio|>"),
            },
        },
        processor="Phi4MultimodalProcessor",
        parts={
            "image_processor": Part("Phi4MultimodalImageProcessor", {"dynamic_hd": 1}),
            "audio_processor": Part("Phi4MultimodalFeatureExtractor"),
        },
        tokenizer={"chat_template": chat("<|image|>")},
        named={"image_token": "<|image|>", "audio_token": "<|audio|>"},
    ),
}
