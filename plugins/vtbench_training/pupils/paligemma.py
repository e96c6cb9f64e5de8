"""A small PaliGemma: SigLIP, one linear layer, a Gemma that reads picture and question both ways.

The processor writes the first token behind the picture and a line's end behind the question; there is no chat template.
Positions begin at 1.
"""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor
from transformers import (
    GemmaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SiglipImageProcessorPil,
)

from vtbench_training.pupils.base import (
    CLIP_MEAN,
    CLIP_STD,
    Pixels,
    Pupil,
    built,
    decoder_sizes,
    fast_tokenizer,
    tower_sizes,
)
from vtbench_training.recipe import Sizes
from vtbench_training.wording import Wording

IMAGE = "<image>"


class PaliGemma(Pupil):
    """The tower's patches in front of a prefix language model."""

    about = "PaliGemma: SigLIP, linear connector, Gemma that reads picture and question both ways"
    sees = ("model.vision_tower",)
    wording = Wording(after="\n")
    reads_both_ways = True

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.head = self.tokenizer.encode(IMAGE * sizes.grid**2 + "<s>").ids

    @classmethod
    def build(cls, sizes: Sizes, seed: int) -> Self:
        """Return an untrained one."""
        tokenizer = fast_tokenizer(image_token=IMAGE)
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
            text_config=GemmaConfig(**decoder_sizes(sizes, len(tokenizer)), head_dim=head_dim).to_dict(),
            image_token_index=tokenizer.image_token_id,
            projection_dim=sizes.hidden,
            hidden_size=sizes.hidden,
            tie_word_embeddings=True,
        )
        return cls(built(lambda: PaliGemmaForConditionalGeneration(config), seed), processor, sizes)

    @property
    def head_positions(self) -> Tensor:
        """Counted from 1."""
        return 1 + super().head_positions

    def patches(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens."""
        tokens: Tensor = self.model.model.vision_tower(pixels["pixel_values"]).last_hidden_state
        return tokens

    def visual(self, pixels: Pixels) -> Tensor:
        """Return what the connector makes of the patches."""
        tokens: Tensor = self.model.model.multi_modal_projector(self.patches(pixels))
        return tokens
