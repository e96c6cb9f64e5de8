"""Values that many recipes share: sizes of decoders and towers, chat templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_checkpoints.recipe import VOCABULARY, Part

TOWER: Mapping[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
"""Sizes of a vision tower, under the names of most configs."""
MIXED = {"layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": 1024}
"""A decoder with two kinds of attention; prompts fit into the window, as one image does at full size."""
LINEAR = {
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "layer_types": ["linear_attention", "full_attention"] * 2,
}
"""A decoder whose every second layer is a recurrence (gated delta rule)."""
EXPERTS = {"moe_intermediate_size": 32, "num_experts_per_tok": 2}
"""A mixture of experts; how many there are has a different name in each config."""
LATENT = {"kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "qk_nope_head_dim": 8}
"""Attention from a compressed cache."""
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
"""Ids of the tokenizer's first tokens."""


def text(model_type: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the sizes of a decoder of four layers, under the names of most configs.

    Args:
        model_type: of the decoder, where the model takes any.
        **more: further values, or others.
    """
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        **SPECIAL,
    }
    return sizes | ({"model_type": model_type} if model_type else {}) | more


def language(kind: str, **more: Any) -> Part:
    """Return a decoder's config by its class, of the same sizes as `text`."""
    return Part(kind, text(**more))


def rope(*section: int, **more: Any) -> dict[str, Any]:
    """Return rotary positions in several axes, as many of a head's dimensions for each as `section` says."""
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": list(section), **more}


def clip(image_size: int = 56, patch_size: int = 14, layers: int = 3) -> Part:
    """Return the config of a CLIP tower."""
    values = {**TOWER, "num_hidden_layers": layers, "image_size": image_size, "patch_size": patch_size}
    return Part("CLIPVisionConfig", {**values, "projection_dim": 32})


def siglip(image_size: int = 56, patch_size: int = 14) -> Part:
    """Return the config of a SigLIP tower."""
    values = {**TOWER, "image_size": image_size, "patch_size": patch_size}
    return Part("SiglipVisionConfig", {**values, "vision_use_head": False})


def pixtral(patch_size: int = 14) -> Part:
    """Return the config of a Pixtral tower, which takes images of any shape up to 112 pixels."""
    return Part("PixtralVisionConfig", {**TOWER, "image_size": 112, "patch_size": patch_size, "head_dim": 16})


def sam(image_size: int = 128) -> dict[str, Any]:
    """Return the sizes of a SAM tower."""
    return {
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": image_size,
        "patch_size": 16,
        "mlp_dim": 64,
        "window_size": 4,
        "global_attn_indexes": [1],
        "initializer_range": 0.02,
    }


def square(side: int, kind: str = "CLIPImageProcessor", **more: Any) -> Part:
    """Return an image processor that resizes the shorter side and crops the middle."""
    return Part(kind, {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}, **more})


def exact(side: int, kind: str, **more: Any) -> Part:
    """Return an image processor that resizes to one size."""
    return Part(kind, {"size": {"height": side, "width": side}, **more})


def bounded(kind: str, patch_size: int, low: int = 56, high: int = 112, **more: Any) -> Part:
    """Return an image processor that keeps an image's shape within a number of pixels: `low` x `low` to `high`."""
    size = {"shortest_edge": low * low, "longest_edge": high * high}
    return Part(kind, {"patch_size": patch_size, "merge_size": 2, "size": size, **more})


def chat(image: str, user: str = "user: ", end: str = "\n", answer: str = "assistant: ", begin: str = "") -> str:
    """Return a chat template.

    Args:
        image: what stands for an image.
        user: what opens a turn.
        end: what closes it.
        answer: what opens the answer.
        begin: what opens the chat.
    """
    parts = (
        "{% for part in m.content %}{% if part.type == 'image' %}" + image + "{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}"
    )
    turns = "{% for m in messages %}" + user + parts + end + "{% endfor %}"
    return begin + turns + "{% if add_generation_prompt %}" + answer + "{% endif %}"


def chatml(image: str) -> str:
    """Return the chat template of Qwen and many others."""
    return chat(image, "<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n")


CHATML = ("<|im_start|>", "<|im_end|>")
"""Special tokens of that template."""
LLAVA_CHAT = chat("<image>\n", "USER: ", " ", "ASSISTANT:", "{{ bos_token }}")
