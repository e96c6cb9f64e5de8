"""A small PaliGemma: SigLIP, one linear layer, a Gemma with bidirectional attention to image and question.

The processor writes the first text token behind the image and a newline behind the question; there is no chat template.
Positions begin at 1.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import (
    GemmaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SiglipImageProcessorPil,
)

from vtbench_training.small_models.base import Pixels, PromptFormat, SmallVLM
from vtbench_training.small_models.components import CLIP_MEAN, CLIP_STD, decoder_sizes, seeded, tower_sizes
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

IMAGE = "<image>"


def build(sizes: Sizes, seed: int = 0, tied: bool = True) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
    """
    tokenizer = bpe_tokenizer(image_token=IMAGE)
    side = {"height": sizes.image_size, "width": sizes.image_size}
    pixels = SiglipImageProcessorPil(size=side, image_mean=CLIP_MEAN, image_std=CLIP_STD)
    pixels.image_seq_length = sizes.grid**2
    processor = PaliGemmaProcessor(pixels, tokenizer)  # adds tokens for places and segments to the tokenizer
    head_dim = sizes.hidden // sizes.heads
    config = PaliGemmaConfig(
        vision_config={
            **tower_sizes(sizes),
            "model_type": "siglip_vision_model",
            "projection_dim": sizes.hidden,
            "vision_use_head": False,
        },
        text_config=GemmaConfig(**decoder_sizes(sizes, len(tokenizer), tied), head_dim=head_dim).to_dict(),
        image_token_index=tokenizer.image_token_id,
        projection_dim=sizes.hidden,
        hidden_size=sizes.hidden,
        tie_word_embeddings=tied,
    )
    return seeded(lambda: PaliGemmaForConditionalGeneration(config), seed), processor


class PaliGemma(SmallVLM):
    """The tower's patches in front of a prefix language model."""

    description = "PaliGemma: SigLIP, linear connector, Gemma that reads image and question both ways"
    prompt_format = PromptFormat(after="\n")
    bidirectional_prefix = True

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.prefix_ids = self.tokenizer.encode(IMAGE * sizes.grid**2 + "<s>").ids

    @property
    def prefix_positions(self) -> Tensor:
        """Positions, which begin at 1."""
        return 1 + super().prefix_positions

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's last hidden state."""
        tokens: Tensor = self.model.model.vision_tower(pixels["pixel_values"]).last_hidden_state
        return tokens
