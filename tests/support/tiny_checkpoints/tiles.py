"""Models that cut an image into tiles, or shuffle its patches into fewer tokens: InternVL, Idefics, Llama 4, Ovis 2."""

from __future__ import annotations

from collections.abc import Mapping

from tiny_checkpoints.recipe import VOCABULARY, Part, Recipe, Token
from tiny_checkpoints.sizes import CHATML, TOWER, chat, chatml, exact, language, text

_UTTERANCE = ("<end_of_utterance>",)
_ROWS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))
_IDEFICS_CHAT = chat("<image>", "User:", "<end_of_utterance>\n", "Assistant:")
_INTERN_NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
_INTERN_TOWER = {**TOWER, "image_size": [28, 28], "patch_size": [7, 7]}
_INTERN_IMAGE = exact(28, "GotOcr2ImageProcessor", crop_to_patches=True, max_patches=6)
_OVIS_MARKS = ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
_LLAMA4_TURN = "<|header_start|>{role}<|header_end|>\n\n"

RECIPES: Mapping[str, Recipe] = {
    "internvl": Recipe(
        config={
            "vision_config": _INTERN_TOWER,
            "text_config": text("qwen2"),
            "image_token_id": Token("<IMG_CONTEXT>"),
            "image_seq_length": 4,
        },
        processor="InternVLProcessor",
        parts={
            "image_processor": _INTERN_IMAGE,
            "video_processor": exact(28, "InternVLVideoProcessor"),
            "image_seq_length": 4,
        },
        chat=chatml("<IMG_CONTEXT>\n"),
        tokens=CHATML,
        named=_INTERN_NAMED,
    ),
    "qianfan_ocr": Recipe(
        config={
            "vision_config": {**_INTERN_TOWER, "drop_path_rate": 0.0},
            "text_config": text("qwen3", head_dim=16),
            "image_token_id": Token("<IMG_CONTEXT>"),
            "image_seq_length": 4,
        },
        processor="QianfanOCRProcessor",
        parts={"image_processor": _INTERN_IMAGE, "image_seq_length": 4},
        chat=chatml("<image>\n"),
        tokens=CHATML,
        named=_INTERN_NAMED,
    ),
    "idefics2": Recipe(
        config={
            "vision_config": {**TOWER, "image_size": 56, "patch_size": 14},
            "perceiver_config": {
                "hidden_size": 32,
                "resampler_n_latents": 8,
                "resampler_depth": 2,
                "resampler_n_heads": 2,
                "resampler_head_dim": 16,
                "num_key_value_heads": 2,
            },
            "text_config": text("mistral"),
            "image_token_id": Token("<image>"),
        },
        processor="Idefics2Processor",
        parts={
            "image_processor": Part(
                "Idefics2ImageProcessor",
                {"size": {"longest_edge": 56, "shortest_edge": 28}, "do_image_splitting": False},
            ),
            "image_seq_len": 8,
        },
        chat=_IDEFICS_CHAT,
        tokens=_UTTERANCE,
        named={"image_boundary_token": "<fake_token_around_image>", "image_token": "<image>"},
    ),
    "granite_docling": Recipe(
        config={
            "vision_config": {**TOWER, "image_size": 28, "patch_size": 7, "out_hidden_size": 32, "scale_factor": 2},
            "text_config": text(),
            "image_token_id": Token("<image>"),
            "pad_token_id": 0,
        },
        processor="GraniteDoclingProcessor",
        parts={
            "image_processor": exact(28, "GraniteDoclingImageProcessor", max_patches=4),
            "image_seq_len": 4,
        },
        chat=_IDEFICS_CHAT,
        tokens=(*_UTTERANCE, *_ROWS),
        named={
            "fake_image_token": "<fake_token_around_image>",
            "image_token": "<image>",
            "global_image_token": "<global-img>",
        },
    ),
    "llama4": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "intermediate_size": 128,
                "vision_output_dim": 64,
                "image_size": 56,
                "patch_size": 14,
                "projector_input_dim": 64,
                "projector_output_dim": 64,
                "pixel_shuffle_ratio": 0.5,
            },
            "text_config": text(
                head_dim=16,
                intermediate_size_mlp=64,
                num_local_experts=4,
                num_experts_per_tok=1,
                attention_chunk_size=512,
                no_rope_layers=[1, 1, 1, 0],
            ),
            "image_token_index": Token("<|patch|>"),
            "boi_token_index": Token("<|image_start|>"),
            "eoi_token_index": Token("<|image_end|>"),
        },
        processor="Llama4Processor",
        parts={
            "image_processor": exact(56, "Llama4ImageProcessor", max_patches=4, resize_to_max_canvas=False),
            "patch_size": 14,
            "pixel_shuffle_ratio": 0.5,
        },
        chat=chat(
            "<|image|>",
            _LLAMA4_TURN.format(role="user"),
            "<|eot|>",
            _LLAMA4_TURN.format(role="assistant"),
            "{{ bos_token }}",
        ),
        tokens=(
            *("<|image|>", "<|image_start|>", "<|image_end|>", "<|patch|>"),
            *("<|tile_x_separator|>", "<|tile_y_separator|>", "<|header_start|>", "<|header_end|>", "<|eot|>"),
        ),
    ),
    "ovis2": Recipe(
        config={
            "vision_config": {**TOWER, "image_size": 56, "patch_size": 14, "vocab_size": 64, "hidden_stride": 2},
            "text_config": language("Qwen2Config"),
            "image_token_id": Token("<IMG_ATOM>"),
            "visual_indicator_token_ids": [Token(mark) for mark in _OVIS_MARKS],
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
        },
        processor="Ovis2Processor",
        parts={
            "image_processor": exact(56, "Ovis2ImageProcessor", crop_to_patches=True, max_patches=4),
            "image_token": "<IMG_ATOM>",
            "image_seq_length": 4,
        },
        chat=chatml("<image>\n"),
        tokens=(*CHATML, "<image>", "<IMG_ATOM>", *_OVIS_MARKS),
    ),
    "molmo2": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "num_hidden_layers": 3,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "image_size": [56, 56],
                "patch_size": 14,
                "num_position_embeddings": 16,
            },
            "adapter_config": {
                "vision_feature_layer": [-1, -2],
                "hidden_size": 32,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "intermediate_size": 64,
                "text_hidden_size": 32,
            },
            "text_config": {
                "hidden_size": 32,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "vocab_size": VOCABULARY,
                "additional_vocab_size": 16,
                "num_hidden_layers": 4,
                "intermediate_size": 64,
            },
            "image_start_token_id": Token("<im_start>"),
            "image_end_token_id": Token("<im_end>"),
            "image_patch_id": Token("<im_patch>"),
            "low_res_image_start_token_id": Token("<low_res_im_start>"),
            "frame_start_token_id": Token("<frame_start>"),
            "frame_end_token_id": Token("<frame_end>"),
        },
        processor="Molmo2Processor",
        parts={
            "image_processor": exact(
                56, "Molmo2ImageProcessor", max_crops=4, overlap_margins=[1, 1], patch_size=14, pooling_size=[2, 2]
            ),
            "video_processor": Part("Molmo2VideoProcessor"),
        },
        chat=chatml("<|image|>"),
        tokens=(
            *("<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<im_low>"),
            *("<frame_start>", "<frame_end>", "<|image|>", "<|video|>", *CHATML),
        ),
    ),
    "step3p7": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "image_size": 112,
                "patch_size": 14,
                "max_position_embeddings": 64,
                "mlp_ratio": 2.0,
            },
            "text_config": text(
                head_dim=16,
                num_experts_per_tok=2,
                num_local_experts=4,
                moe_intermediate_size=32,
                n_routed_experts=4,
                share_expert_dim=32,
                sliding_window=64,
                num_sliding_attention_heads=2,
            ),
            "image_token_id": Token("<im_patch>"),
        },
        processor="Step3p7Processor",
        parts={"image_processor": exact(112, "Step3p7ImageProcessor", patch_size=56, max_image_size=448)},
        chat=chat("<im_patch>"),
        tokens=("<im_patch>", "<patch_newline>", "<patch_start>", "<patch_end>", "<im_start>", "<im_end>"),
    ),
}
