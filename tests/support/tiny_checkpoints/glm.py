"""GLM-4V's line: patches at the image's own size, merged 2 x 2, positions in three axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.recipe import Part, Recipe, Token
from tiny_checkpoints.sizes import EXPERTS, bounded, chat, rope, text

TOKENS = ("<|user|>", "<|assistant|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>")
NAMED = {"image_token": "<|image|>", "video_token": "<|video|>"}
IDS: Mapping[str, Any] = {
    "image_token_id": Token("<|image|>"),
    "video_token_id": Token("<|video|>"),
    "image_start_token_id": Token("<|begin_of_image|>"),
    "image_end_token_id": Token("<|end_of_image|>"),
    "video_start_token_id": Token("<|begin_of_video|>"),
    "video_end_token_id": Token("<|end_of_video|>"),
}
TOWER = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 14,
    "image_size": 56,
    "out_hidden_size": 32,
}
ROPE = rope(1, 1, 2, partial_rotary_factor=0.5)


def _glm(decoder: Mapping[str, Any], line: str, **config: Any) -> Recipe:
    image = bounded(f"{line}ImageProcessor", 14, temporal_patch_size=2)
    return Recipe(
        config={"vision_config": TOWER, "text_config": decoder, **IDS, **config},
        processor=f"{line}Processor",
        parts={"image_processor": image, "video_processor": Part(f"{line}VideoProcessor")},
        chat=chat("<|begin_of_image|><|image|><|end_of_image|>", "<|user|>\n", "", "<|assistant|>\n", "[gMASK]"),
        tokens=(*TOKENS, "<|end_of_video|>", "[gMASK]"),
        named=NAMED,
    )


RECIPES: Mapping[str, Recipe] = {
    "glm4v": _glm(text(rope_parameters=ROPE), "Glm4v"),
    "glm4v_moe": _glm(text(head_dim=16, rope_parameters=ROPE, n_routed_experts=4, **EXPERTS), "Glm4v"),
    "glm46v": _glm(text("glm4v_text", rope_parameters=ROPE), "Glm46V"),
    "glm_ocr": _glm(text(head_dim=16, rope_parameters=ROPE), "Glm46V"),
}
