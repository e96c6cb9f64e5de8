"""DeepSeek's line, Janus, Kimi, and models that turn an image into words of a codebook: Chameleon, Emu3."""

from __future__ import annotations

from collections.abc import Mapping

from tiny_checkpoints.recipe import Part, PromptFacts, Recipe, Token, Vocabulary
from tiny_checkpoints.sizes import EXPERTS, LATENT, TOWER, chat, exact, language, sam, siglip, square, text

PLACEHOLDER = {"image_token": "<image_placeholder>"}
_CODES = 32
"""Words of a codebook."""
_CHAMELEON_CODES = tuple(
    "IMGIMG" + "".join(chr(65 + int(digit)) for digit in str(code)) + "Z" for code in range(_CODES)
)
_EMU_CODES = tuple(f"<|visual token {code:06d}|>" for code in range(_CODES))


def _deepseek_chat(image: str) -> str:
    return chat(image, "User: ", "\n\n", "Assistant:", "{{ bos_token }}")


RECIPES: Mapping[str, Recipe] = {
    "deepseek_vl": Recipe(
        config={
            "vision_config": siglip(),
            "text_config": text("llama"),
            "image_token_id": Token("<image_placeholder>"),
        },
        processor="DeepseekVLProcessor",
        parts={"image_processor": exact(56, "DeepseekVLImageProcessor", min_size=14), "num_image_tokens": 16},
        chat=_deepseek_chat("<image_placeholder>"),
        named=PLACEHOLDER,
    ),
    "deepseek_vl_hybrid": Recipe(
        config={
            "vision_config": siglip(64, 16),
            "high_res_vision_config": Part("SamVisionConfig", sam()),
            "text_config": text("llama"),
            "image_token_id": Token("<image_placeholder>"),
        },
        processor="DeepseekVLHybridProcessor",
        parts={
            "image_processor": exact(
                64, "DeepseekVLHybridImageProcessor", high_res_size={"height": 128, "width": 128}, min_size=14
            ),
            "num_image_tokens": 16,
        },
        chat=_deepseek_chat("<image_placeholder>"),
        named=PLACEHOLDER,
    ),
    "deepseek_ocr2": Recipe(
        config={
            "vision_config": {
                "sam_config": {
                    **sam(1024),
                    "window_size": 8,
                    "global_attn_indexes": [],
                    "downsample_channels": [16, 32],
                },
                "encoder_config": text(),
            },
            "text_config": text(
                n_routed_experts=4,
                n_shared_experts=1,
                head_dim=16,
                mlp_layer_types=["dense", "sparse", "sparse", "sparse"],
                **EXPERTS,
            ),
            "image_token_id": Token("<image>"),
        },
        processor="DeepseekOcr2Processor",
        parts={"image_processor": Part("DeepseekOcr2ImageProcessor")},
        chat=chat("<image>"),
        named={"image_token": "<image>"},
    ),
    "janus": Recipe(
        config={
            "vision_config": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 64,
                "patch_size": 16,
                "projection_dim": 32,
                "num_image_tokens": 16,
                "mlp_ratio": 2.0,
            },
            "vq_config": {
                "embed_dim": 4,
                "num_embeddings": _CODES,
                "latent_channels": 32,
                "base_channels": 32,
                "channel_multiplier": [1, 1],
                "num_res_blocks": 1,
                "num_patches": 4,
                "projection_dim": 32,
                "image_token_embed_dim": 32,
            },
            "text_config": language("LlamaConfig"),
            "image_token_id": Token("<image_placeholder>"),
        },
        processor="JanusProcessor",
        parts={"image_processor": exact(64, "JanusImageProcessor", min_size=14), "num_image_tokens": 16},
        chat=_deepseek_chat("<image_placeholder>\n"),
        named={**PLACEHOLDER, "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"},
    ),
    "kimi_k25": Recipe(
        config={
            "vision_config": {
                **TOWER,
                "patch_size": 14,
                "pos_emb_height": 8,
                "pos_emb_width": 8,
            },
            "text_config": language(
                "DeepseekV3Config",
                n_routed_experts=4,
                n_group=1,
                topk_group=1,
                first_k_dense_replace=1,
                **EXPERTS,
                **LATENT,
            ),
            "projection_hidden_size": 32,
            "image_token_id": Token("<|media_pad|>"),
            "video_token_id": Token("<|kimi_k25_video_placeholder|>"),
            "vision_start_token_id": Token("<|media_begin|>"),
            "vision_end_token_id": Token("<|media_end|>"),
        },
        processor="Kimi_K25Processor",
        parts={
            "image_processor": Part("Kimi_K25ImageProcessor"),
            "video_processor": Part("Kimi_K25VideoProcessor"),
        },
        chat=chat("<|media_begin|>image<|media_content|><|media_pad|><|media_end|>"),
        tokens=("<|media_begin|>", "<|media_content|>", "<|media_end|>", "<|media_start|>"),
        named={"image_token": "<|media_pad|>", "video_token": "<|kimi_k25_video_placeholder|>"},
    ),
    "chameleon": Recipe(
        config={
            **text(),
            "vq_config": {
                "embed_dim": 4,
                "num_embeddings": _CODES,
                "latent_channels": 32,
                "resolution": 32,
                "base_channels": 32,
                "channel_multiplier": [1, 2],
                "num_res_blocks": 1,
                "attn_type": "none",
            },
            "vocabulary_map": Vocabulary(),
        },
        processor="ChameleonProcessor",
        parts={
            "image_processor": square(32, "ChameleonImageProcessor"),
            "image_seq_length": 256,
            "image_token": "<image>",
        },
        facts=PromptFacts(prompt="<image>{question}"),
        tokens=_CHAMELEON_CODES,
        named={"image_token": "<image>", "boi_token": "<racm3:break>", "eoi_token": "<eoss>"},
        tokenizer={"sep_token": "</s>"},
    ),
    "emu3": Recipe(
        config={
            "vq_config": {
                "codebook_size": _CODES,
                "embed_dim": 4,
                "latent_channels": 4,
                "base_channels": 32,
                "channel_multiplier": [1, 1, 1, 1],
                "num_res_blocks": 1,
                "attn_resolutions": [],
                "hidden_size": 32,
                "temporal_downsample_factor": 1,
            },
            "text_config": text(attention_dropout=0.0),
            "vocabulary_map": Vocabulary(),
        },
        processor="Emu3Processor",
        parts={"image_processor": Part("Emu3ImageProcessor", {"min_pixels": 32 * 32, "max_pixels": 64 * 64})},
        chat=chat("<image>", "USER: ", " ", "ASSISTANT:", "{{ bos_token }}"),
        tokens=_EMU_CODES,
        named={
            "image_token": "<image>",
            "boi_token": "<|image start|>",
            "eoi_token": "<|image end|>",
            "image_wrapper_token": "<|image token|>",
            "eof_token": "<|extra_201|>",
            "eol_token": "<|extra_200|>",
        },
    ),
}
