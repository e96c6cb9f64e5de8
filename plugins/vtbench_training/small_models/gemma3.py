"""A random Gemma 3 for tests: SigLIP, patches averaged 2 x 2, a Gemma that attends to images in both directions.

There is no chat template.
"""

from __future__ import annotations

from typing import Any

from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    Gemma3TextConfig,
    SiglipVisionConfig,
)

from vtbench_training.small_models.components import decoder_sizes, seeded, tower_sizes
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

POOL = 2


def build(sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """Return a random model and its processor."""
    tokenizer = bpe_tokenizer(boi_token="<start>", image_token="<image>", eoi_token="<end>")
    count = (sizes.grid // POOL) ** 2
    pixels = Gemma3ImageProcessorPil(size={"height": sizes.image_size, "width": sizes.image_size})
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**tower_sizes(sizes), vision_use_head=False),
        text_config=Gemma3TextConfig(**decoder_sizes(sizes, len(tokenizer)), head_dim=sizes.hidden // sizes.heads),
        mm_tokens_per_image=count,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
    )
    processor = Gemma3Processor(pixels, tokenizer, image_seq_length=count)
    return seeded(lambda: Gemma3ForConditionalGeneration(config), seed), processor
