"""A small Idefics3, the family of SmolVLM: SigLIP, pixel shuffle, one linear layer, LLaMA; the picture in one tile.

A token stands for 2 x 2 patches, folded into one.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
)

from vtbench_training.pupils.base import (
    CLIP_MEAN,
    CLIP_STD,
    TEMPLATE,
    Pixels,
    Pupil,
    built,
    decoder_sizes,
    fast_tokenizer,
    special_ids,
    tower_sizes,
)
from vtbench_training.recipe import Sizes
from vtbench_training.wording import LLAVA_TURNS

FOLD = 2
IMAGE, AROUND, WHOLE, TURN = "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"


class Idefics3(Pupil):
    """Folded patches in the decoder's sequence."""

    about = "Idefics3 (SmolVLM): SigLIP, 2 x 2 patches folded into a token, linear connector, LLaMA"
    sees = ("model.vision_model",)
    wording = LLAVA_TURNS

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        picture = AROUND + WHOLE + IMAGE * (sizes.grid // FOLD) ** 2 + AROUND
        self.head = self.tokenizer.encode(f"<s>USER: {picture}").ids

    @classmethod
    def build(cls, sizes: Sizes, seed: int) -> Self:
        """Return an untrained one."""
        tokenizer = fast_tokenizer(AROUND, WHOLE, TURN, image_token=IMAGE)
        side = {"longest_edge": sizes.image_size}
        pixels = Idefics3ImageProcessorPil(
            size=side, max_image_size=side, do_image_splitting=False, image_mean=CLIP_MEAN, image_std=CLIP_STD
        )
        processor = Idefics3Processor(
            pixels,
            tokenizer,
            image_seq_len=(sizes.grid // FOLD) ** 2,
            chat_template=TEMPLATE.replace("PICTURE", IMAGE),
        )
        config = Idefics3Config(
            vision_config=tower_sizes(sizes),
            text_config=LlamaConfig(**decoder_sizes(sizes, len(tokenizer))),
            image_token_id=tokenizer.image_token_id,
            scale_factor=FOLD,
            tie_word_embeddings=True,
            pad_token_id=special_ids()["pad_token_id"],
        )
        return cls(built(lambda: Idefics3ForConditionalGeneration(config), seed), processor, sizes)

    @property
    def decoder(self) -> nn.Module:
        """The LLaMA."""
        module: nn.Module = self.model.model.text_model
        return module

    def patches(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens before they are folded."""
        pictures, grid = pixels["pixel_values"], self.sizes.grid
        real = torch.ones(len(pictures), grid, grid, dtype=torch.bool, device=pictures.device)
        tokens: Tensor = self.model.model.vision_model(pictures, patch_attention_mask=real).last_hidden_state
        return tokens

    def visual(self, pixels: Pixels) -> Tensor:
        """Return the folded patches, projected."""
        tokens: Tensor = self.model.model.connector(self.patches(pixels))
        return tokens
