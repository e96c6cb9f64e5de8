"""Models whose text is written by a decoder that reads an encoder, and BLIP's line: queries, captions, forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.recipe import VOCABULARY, Part, Recipe, SecondTokenizer, Token
from tiny_checkpoints.sizes import SPECIAL, TOWER, exact, square, text

_PATCHES = {**TOWER, "image_size": 56, "patch_size": 14}
_WIDTHS = {"hidden_size": 32, "d_ff": 64, "d_kv": 16}


def _instructblip(processor: str, **parts: Any) -> Recipe:
    return Recipe(
        config={
            "vision_config": {**_PATCHES, "initializer_range": 0.02},
            "qformer_config": {**TOWER, "encoder_hidden_size": 32, "vocab_size": VOCABULARY},
            "text_config": text("llama"),
            "num_query_tokens": 4,
            "image_token_index": Token("<image>"),
        },
        processor=processor,
        parts={"num_query_tokens": 4, "qformer_tokenizer": SecondTokenizer(), **parts},
    )


RECIPES: Mapping[str, Recipe] = {
    "instructblip": _instructblip("InstructBlipProcessor", image_processor=exact(56, "BlipImageProcessor")),
    "blip": Recipe(
        config={
            "vision_config": {**_PATCHES, "initializer_range": 0.02},
            "text_config": {
                **TOWER,
                "vocab_size": VOCABULARY,
                "encoder_hidden_size": 32,
                "projection_dim": 32,
                "sep_token_id": 2,
                **SPECIAL,
            },
            "projection_dim": 32,
        },
        processor="BlipProcessor",
        parts={"image_processor": exact(56, "BlipImageProcessor")},
    ),
    "git": Recipe(
        config={"vision_config": _PATCHES, "vocab_size": VOCABULARY, **TOWER, **SPECIAL},
        processor="GitProcessor",
        parts={"image_processor": square(56)},
    ),
    "pix2struct": Recipe(
        config={
            "text_config": {
                **_WIDTHS,
                "vocab_size": VOCABULARY,
                "num_layers": 2,
                "num_heads": 2,
                "decoder_start_token_id": 0,
                "pad_token_id": 0,
                "eos_token_id": 2,
            },
            "vision_config": {
                **_WIDTHS,
                "patch_embed_hidden_size": 768,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "seq_len": 64,
            },
            "is_vqa": True,
        },
        processor="Pix2StructProcessor",
        parts={"image_processor": Part("Pix2StructImageProcessor", {"max_patches": 64, "is_vqa": False})},
    ),
    "florence2": Recipe(
        config={
            "vision_config": {
                "depths": [1, 1, 1, 1],
                "embed_dim": [16, 16, 32, 32],
                "num_heads": [2] * 4,
                "num_groups": [2] * 4,
                "window_size": 4,
                "drop_path_rate": 0.0,
                "projection_dim": 32,
            },
            "text_config": {
                "model_type": "bart",
                "vocab_size": VOCABULARY,
                "d_model": 32,
                "encoder_layers": 2,
                "decoder_layers": 2,
                "encoder_attention_heads": 2,
                "decoder_attention_heads": 2,
                "encoder_ffn_dim": 64,
                "decoder_ffn_dim": 64,
                "max_position_embeddings": 1024,
                "decoder_start_token_id": 2,
                "forced_eos_token_id": None,
                **SPECIAL,
            },
            "image_token_id": Token("<image>"),
        },
        processor="Florence2Processor",
        parts={
            "image_processor": Part(
                "CLIPImageProcessor",
                {"size": {"height": 128, "width": 128}, "do_center_crop": False},
                {"image_seq_length": 17},
            )
        },
        named={"image_token": "<image>"},
    ),
    "kosmos-2": Recipe(
        config={
            "vision_config": _PATCHES,
            "text_config": {
                "vocab_size": VOCABULARY,
                "embed_dim": 32,
                "layers": 4,
                "ffn_dim": 64,
                "attention_heads": 2,
                "max_position_embeddings": 1024,
                **SPECIAL,
            },
            "latent_query_num": 64,
        },
        processor="Kosmos2Processor",
        parts={"image_processor": square(56), "num_patch_index_tokens": 4},
        tokens=(
            *("<patch_index_0000>", "<image>", "</image>", "<phrase>", "</phrase>", "<object>", "</object>"),
            *("</delimiter_of_multi_objects/>", "<grounding>"),
        ),
        tokenizer={"unk_token": "<pad>"},
    ),
}
