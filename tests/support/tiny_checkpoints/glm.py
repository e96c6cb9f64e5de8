"""GLM-4V's line: patches at the image's own size, merged 2 x 2, positions in three axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.recipe import Part, Recipe, Token
from tiny_checkpoints.sizes import EXPERTS, LATENT, bounded, chat, rope, text

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


def _glm(
    decoder: Mapping[str, Any],
    line: str,
    processor: str | None = None,
    tower: Mapping[str, Any] = TOWER,
    image: Part | None = None,
) -> Recipe:
    """Return the recipe of a model whose processor's parts have names that begin with `line`."""
    return Recipe(
        config={"vision_config": tower, "text_config": decoder, **IDS},
        processor=processor or f"{line}Processor",
        parts={
            "image_processor": image or bounded(f"{line}ImageProcessor", 14, temporal_patch_size=2),
            "video_processor": Part(f"{line}VideoProcessor"),
        },
        chat=chat("<|begin_of_image|><|image|><|end_of_image|>", "<|user|>\n", "", "<|assistant|>\n", "[gMASK]"),
        tokens=(*TOKENS, "<|end_of_video|>", "[gMASK]"),
        named=NAMED,
    )


RECIPES: Mapping[str, Recipe] = {
    "glm4v": _glm(text(rope_parameters=ROPE), "Glm4v"),
    "glm4v_moe": _glm(text(head_dim=16, rope_parameters=ROPE, n_routed_experts=4, **EXPERTS), "Glm4v"),
    "glm46v": _glm(text("glm4v_text", rope_parameters=ROPE), "Glm46V"),
    "glmga": _glm(text("glm4v_text", rope_parameters=ROPE), "Glmga", processor="Glm46VProcessor"),
    "glm5_next": _glm(
        text(
            n_routed_experts=4,
            n_shared_experts=1,
            head_dim=0,
            index_topk=4096,
            index_head_dim=16,
            index_n_heads=2,
            index_kpool=4,
            linear_head_dim=16,
            linear_num_heads=2,
            hc_mult=2,
            mlp_layer_types=["dense", "sparse", "sparse", "sparse"],
            layer_types=["linear_attention", "indexed_attention"] * 2,
            indexer_types=["full"] * 4,
            **EXPERTS,
            **{**LATENT, "qk_rope_head_dim": 0},
        ),
        "Glm5Next",
        tower={**TOWER, "projection_intermediate_size": 64},
        image=Part(
            "Glm5NextImageProcessor",
            {"patch_size": 14, "merge_size": 2, "min_image_tokens": 4, "max_image_tokens": 16},
        ),
    ),
    "glm_ocr": _glm(text(head_dim=16, rope_parameters=ROPE), "Glm46V"),
}
