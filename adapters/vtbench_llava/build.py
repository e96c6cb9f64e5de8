"""A small LLaVA made from `transformers` classes: sizes in, an untrained model and its processor out.

CLIP ViT (CLS token dropped, last hidden state) + two-layer MLP connector + LLaMA decoder with tied embeddings. Training
fills in the weights; `layout.save_published` writes them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{%- for message in messages -%}"
    "{%- set parts = [{'type': 'text', 'text': message['content']}] if message['content'] is string"
    " else message['content'] -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{ 'ASSISTANT:' }}{%- for part in parts -%}{{ ' ' + part['text'] }}{%- endfor -%}{{ eos_token }}"
    "{%- else -%}"
    "{{ message['role'] | upper + ': ' }}"
    "{%- for part in parts if part['type'] == 'image' -%}{{ '<image>\n' }}{%- endfor -%}"
    "{%- for part in parts if part['type'] == 'text' -%}{{ part['text'] + ' ' }}{%- endfor -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}"
)
"""LLaVA 1.5's turns: `<s>USER: <image>\\n{question} ASSISTANT:`, then ` {answer}</s>`."""


def build_llava(
    vision_hidden: int = 160,
    vision_layers: int = 4,
    vision_heads: int = 5,
    hidden: int = 192,
    layers: int = 6,
    heads: int = 6,
    kv_heads: int = 6,
    intermediate: int = 512,
    image_size: int = 112,
    patch_size: int = 14,
    vocab_size: int = 1024,
    image_token_id: int = 3,
    pad_token_id: int = 0,
    bos_token_id: int = 1,
    eos_token_id: int = 2,
    seed: int = 0,
    vision_intermediate: int | None = None,
    max_positions: int = 2048,
) -> LlavaForConditionalGeneration:
    """Return an untrained LLaVA in float32, the same for the same arguments; the caller's random state is left alone.

    Args:
        vision_hidden: width of the vision tower; a multiple of `vision_heads`.
        vision_layers: depth of the vision tower.
        vision_heads: attention heads of the vision tower.
        hidden: width of the decoder; a multiple of `heads`.
        layers: depth of the decoder.
        heads: attention heads of the decoder.
        kv_heads: its key and value heads; fewer than `heads` is grouped-query attention.
        intermediate: width of the decoder's gated MLP.
        image_size: side of the picture in pixels; a multiple of `patch_size`.
        patch_size: side of a patch in pixels; there are (image_size / patch_size)^2 visual tokens.
        vocab_size: of the tokenizer, special tokens included.
        image_token_id: the placeholder that a visual token replaces.
        pad_token_id: of the tokenizer.
        bos_token_id: of the tokenizer.
        eos_token_id: of the tokenizer; generation stops there.
        seed: of the initial weights.
        vision_intermediate: width of the vision tower's MLP; four times its width by default.
        max_positions: longest sequence in tokens, visual tokens included.
    """
    if image_size % patch_size:
        raise ValueError(f"image_size {image_size} is not a multiple of patch_size {patch_size}")
    special = {"pad_token_id": pad_token_id, "bos_token_id": bos_token_id, "eos_token_id": eos_token_id}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=vision_hidden,
            num_hidden_layers=vision_layers,
            num_attention_heads=vision_heads,
            intermediate_size=vision_intermediate or 4 * vision_hidden,
            image_size=image_size,
            patch_size=patch_size,
            projection_dim=vision_hidden,
        ),
        text_config=LlamaConfig(
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            intermediate_size=intermediate,
            vocab_size=vocab_size,
            max_position_embeddings=max_positions,
            tie_word_embeddings=True,
            **special,
        ),
        image_token_index=image_token_id,
        image_seq_length=(image_size // patch_size) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.generation_config.update(**special)
    return model


def build_processor(tokenizer: Tokenizer | Path | str, image_size: int, patch_size: int) -> LlavaProcessor:
    """Return the processor of `build_llava`: CLIP's resize, crop and normalise, the tokenizer and the chat template.

    Args:
        tokenizer: a `tokenizers.Tokenizer` or its tokenizer.json, holding `<pad>`, `<s>`, `</s>` and `<image>`.
        image_size: side in pixels; the shorter edge is resized to it, then the centre is cut out.
        patch_size: side of a patch in pixels.

    Raises:
        ValueError: the tokenizer lacks a special token.
    """
    backend = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer.from_file(str(tokenizer))
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    for token in (*special.values(), "<image>"):
        if backend.token_to_id(token) is None:
            raise ValueError(f"the tokenizer has no {token} token")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **special,
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": image_size}, crop_size={"height": image_size, "width": image_size}
    )
    return LlavaProcessor(
        image_processor=pixels,
        tokenizer=fast,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
