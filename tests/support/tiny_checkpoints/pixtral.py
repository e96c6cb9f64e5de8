"""Models with Pixtral's tower, which takes images of any shape: Mistral's line and LightOnOCR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.recipe import Part, Recipe, Token
from tiny_checkpoints.sizes import CHATML, EXPERTS, LATENT, chat, chatml, language, pixtral

_MISTRAL = ("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]")


def _mistral(decoder: Part | Mapping[str, Any], **more: Any) -> Recipe:
    image = Part("PixtralImageProcessor", {"size": {"longest_edge": 112}, "patch_size": {"height": 28, "width": 28}})
    return Recipe(
        config={
            "vision_config": pixtral(),
            "text_config": decoder,
            "image_token_index": Token("[IMG]"),
            "spatial_merge_size": 2,
            **more,
        },
        processor="PixtralProcessor",
        parts={"image_processor": image, "patch_size": 14, "spatial_merge_size": 2},
        chat=chat("[IMG]", "[INST]", "[/INST]", "", "{{ bos_token }}"),
        tokens=_MISTRAL,
    )


RECIPES: Mapping[str, Recipe] = {
    "mistral3": _mistral(language("MistralConfig", head_dim=16), tie_word_embeddings=False),
    "mistral_large4": _mistral(
        language(
            "MistralLarge4TextConfig",
            n_routed_experts=4,
            index_topk=4096,
            index_head_dim=16,
            index_n_heads=2,
            **EXPERTS,
            **{key: value for key, value in LATENT.items() if key != "q_lora_rank"},
        )
    ),
    "lighton_ocr": Recipe(
        config={
            "vision_config": pixtral(),
            "text_config": language("Qwen3Config", head_dim=16),
            "image_token_id": Token("<|image_pad|>"),
            "spatial_merge_size": 2,
        },
        processor="LightOnOcrProcessor",
        parts={
            "image_processor": Part(
                "PixtralImageProcessor", {"size": {"longest_edge": 112}, "patch_size": {"height": 28, "width": 28}}
            ),
            "patch_size": 14,
            "spatial_merge_size": 2,
        },
        chat=chatml("<|image_pad|>"),
        tokens=CHATML,
        named={
            "image_token": "<|image_pad|>",
            "image_break_token": "<|vision_pad|>",
            "image_end_token": "<|vision_end|>",
        },
    ),
}
