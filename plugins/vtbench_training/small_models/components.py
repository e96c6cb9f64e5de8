"""Parts that the builders of random models share: chat template, pixel statistics, config sizes, seeded weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from vtbench_training.small_models.sizes import Sizes

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def chat_template(image: str) -> str:
    r"""Return LLaVA 1.5's turns: `<s>USER: {image}\n{question} ASSISTANT:`, then ` {answer}</s>`.

    Args:
        image: text that stands for an image.
    """
    return (
        "{{ bos_token }}"
        "{%- for message in messages -%}"
        "{%- set parts = [{'type': 'text', 'text': message['content']}] if message['content'] is string"
        " else message['content'] -%}"
        "{%- if message['role'] == 'assistant' -%}"
        "{{ 'ASSISTANT:' }}{%- for part in parts -%}{{ ' ' + part['text'] }}{%- endfor -%}{{ eos_token }}"
        "{%- else -%}"
        "{{ message['role'] | upper + ': ' }}"
        "{%- for part in parts if part['type'] == 'image' -%}{{ 'IMAGE\n' }}{%- endfor -%}"
        "{%- for part in parts if part['type'] == 'text' -%}{{ part['text'] + ' ' }}{%- endfor -%}"
        "{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}"
    ).replace("IMAGE", image)


def seeded(make: Callable[[], Any], seed: int) -> Any:
    """Return a model in float32, the same for the same seed; the caller's random state is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
    model.generation_config.update(**special_ids())
    return model


def special_ids() -> dict[str, int]:
    """Return the ids that every config names."""
    return {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def tower_sizes(sizes: Sizes) -> dict[str, int]:
    """Return the sizes of a vision tower, under the names of most configs."""
    return {
        "hidden_size": sizes.vision_hidden,
        "num_hidden_layers": sizes.vision_layers,
        "num_attention_heads": sizes.vision_heads,
        "intermediate_size": 4 * sizes.vision_hidden,
        "image_size": sizes.image_size,
        "patch_size": sizes.patch_size,
    }


def decoder_sizes(sizes: Sizes, vocabulary: int, tied: bool = True) -> dict[str, Any]:
    """Return the sizes of a decoder, under the names of most configs.

    Args:
        sizes: of the model.
        vocabulary: number of token ids.
        tied: whether input and output embeddings share their weights.
    """
    return {
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "intermediate_size": sizes.intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": tied,
        **special_ids(),
    }
