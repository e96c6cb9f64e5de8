"""LLaVA's line and Cohere's: a tower's patches through an MLP take the place of placeholders."""

from __future__ import annotations

from collections.abc import Mapping

from tiny_checkpoints.recipe import Part, Recipe, Token
from tiny_checkpoints.sizes import (
    CHATML,
    LLAVA_CHAT,
    MIXED,
    TOWER,
    chat,
    chatml,
    clip,
    exact,
    siglip,
    square,
    text,
)

IMAGE = {"image_token": "<image>"}
VIDEO = {"image_token": "<image>", "video_token": "<video>"}
PINPOINTS = [[28, 56], [56, 28], [56, 56], [28, 84]]
PATCHES = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}

_TURNS = ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>")
_GRANITE_PINPOINTS = [[112, 224], [224, 112], [224, 224]]


def _aya(image: str) -> str:
    return chat(image, _TURNS[0], _TURNS[1], _TURNS[0], "{{ bos_token }}")


RECIPES: Mapping[str, Recipe] = {
    "vipllava": Recipe(
        config={
            "vision_config": clip(layers=6),
            "text_config": text("llama"),
            "image_token_index": Token("<image>"),
            "image_seq_length": 16,
            "vision_feature_layers": [-2, -3, 1],
        },
        processor="LlavaProcessor",
        parts={"image_processor": square(56), **PATCHES},
        chat=LLAVA_CHAT,
        named=IMAGE,
    ),
    "llava_next_video": Recipe(
        config={
            "vision_config": clip(28, 7),
            "text_config": text("llama"),
            "image_grid_pinpoints": PINPOINTS,
            "image_token_index": Token("<image>"),
            "video_token_index": Token("<video>"),
            "vision_feature_layer": -2,
        },
        processor="LlavaNextVideoProcessor",
        parts={
            "image_processor": square(28, "LlavaNextImageProcessor", image_grid_pinpoints=PINPOINTS),
            "video_processor": square(28, "LlavaNextVideoVideoProcessor"),
            **PATCHES,
            "patch_size": 7,
        },
        chat=LLAVA_CHAT,
        named=VIDEO,
    ),
    "llava_onevision": Recipe(
        config={
            "vision_config": siglip(28, 7),
            "text_config": text("qwen2"),
            "image_grid_pinpoints": PINPOINTS,
            "vision_aspect_ratio": "anyres_max_9",
            "image_token_index": Token("<image>"),
            "video_token_index": Token("<video>"),
        },
        processor="LlavaOnevisionProcessor",
        parts={
            "image_processor": exact(28, "LlavaOnevisionImageProcessor", image_grid_pinpoints=PINPOINTS),
            "video_processor": exact(28, "LlavaOnevisionVideoProcessor"),
            "num_image_tokens": 16,
            "vision_feature_select_strategy": "full",
            "vision_aspect_ratio": "anyres_max_9",
        },
        chat=chatml("<image>\n"),
        tokens=CHATML,
        named=VIDEO,
    ),
    "video_llava": Recipe(
        config={
            "vision_config": clip(),
            "text_config": text("llama"),
            "image_token_index": Token("<image>"),
            "video_token_index": Token("<video>"),
            "image_seq_length": 17,
            "vision_feature_layer": -2,
        },
        processor="VideoLlavaProcessor",
        parts={
            "image_processor": square(56, "VideoLlavaImageProcessor"),
            "video_processor": Part("VideoLlavaVideoProcessor"),
            **PATCHES,
        },
        chat=LLAVA_CHAT,
        named=VIDEO,
    ),
    "fast_vlm": Recipe(
        config={
            "vision_config": Part(
                "TimmWrapperConfig",
                {
                    "architecture": "fastvit_mci3",
                    "do_pooling": True,
                    "num_classes": 0,
                    "hidden_size": 128,
                    "initializer_range": 0.02,
                    "model_args": {
                        "inference_mode": True,
                        "layers": [1, 1, 1, 1, 1],
                        "embed_dims": [8, 16, 16, 32, 64],
                    },
                },
            ),
            "text_config": text("qwen2"),
            "image_token_index": Token("<image>"),
            "image_seq_length": 16,
        },
        processor="LlavaProcessor",
        parts={
            "image_processor": square(256),
            "patch_size": 64,
            "vision_feature_select_strategy": "full",
            "num_additional_image_tokens": 0,
        },
        chat=LLAVA_CHAT,
        named=IMAGE,
    ),
    "granite4_vision": Recipe(
        config={
            "vision_config": Part(
                "SiglipVisionConfig",
                {**TOWER, "hidden_size": 64, "image_size": 112, "patch_size": 14, "vision_use_head": False},
            ),
            "text_config": text(head_dim=16),
            "image_token_index": Token("<image>"),
            "image_grid_pinpoints": _GRANITE_PINPOINTS,
            "vision_feature_select_strategy": "full",
            "vision_feature_layer": -1,
            "downsample_rate": "1/2",
            "deepstack_layer_map": [[-1, 0], [0, 1]],
            "spatial_target_layers": [0, 1, 2, 3],
            "projector_dropout": 0.0,
        },
        processor="Granite4VisionProcessor",
        parts={
            "image_processor": Part(
                "LlavaNextImageProcessor",
                {
                    "size": {"height": 112, "width": 112},
                    "crop_size": {"height": 112, "width": 112},
                    "image_grid_pinpoints": _GRANITE_PINPOINTS,
                },
            ),
            "patch_size": 14,
            "vision_feature_select_strategy": "full",
            "downsample_rate": "1/2",
        },
        chat=LLAVA_CHAT,
        named=IMAGE,
    ),
    "aya_vision": Recipe(
        config={
            "vision_config": siglip(),
            "text_config": text("cohere2", **MIXED),
            "image_token_index": Token("<|IMG_PATCH|>"),
            "downsample_factor": 2,
        },
        processor="AyaVisionProcessor",
        parts={
            "image_processor": exact(56, "GotOcr2ImageProcessor", crop_to_patches=True, max_patches=4, min_patches=1),
            "patch_size": 14,
            "img_size": 56,
            "downsample_factor": 2,
        },
        chat=_aya("<image>"),
        tokens=("<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", *_TURNS),
    ),
    "cohere2_vision": Recipe(
        config={
            "vision_config": siglip(),
            "text_config": text("cohere2", **MIXED),
            "image_token_id": Token("<|IMG_PATCH|>"),
            "downsample_factor": 2,
            "alignment_intermediate_size": 64,
        },
        processor="Cohere2VisionProcessor",
        parts={
            "image_processor": exact(
                56, "Cohere2VisionImageProcessor", crop_to_patches=True, max_patches=4, min_patches=1, patch_size=2
            )
        },
        chat=_aya("<|IMG_PATCH|>"),
        tokens=_TURNS,
        named={
            "boi_token": "<|START_OF_IMG|>",
            "eoi_token": "<|END_OF_IMG|>",
            "image_token": "<|IMG_PATCH|>",
            "img_line_break_token": "<|IMG_LINE_BREAK|>",
        },
    ),
}
