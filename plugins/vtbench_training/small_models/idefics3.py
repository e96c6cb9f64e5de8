"""A small Idefics3, the family of SmolVLM: SigLIP, pixel shuffle, one linear layer, LLaMA; the image in one tile.

A token stands for 2 x 2 patches, folded into one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
)

from vtbench_training.small_models.base import LLAVA_FORMAT, Pixels, SmallVLM
from vtbench_training.small_models.components import (
    CLIP_MEAN,
    CLIP_STD,
    chat_template,
    decoder_sizes,
    seeded,
    special_ids,
    tower_sizes,
)
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

FOLD = 2
IMAGE, AROUND, WHOLE, TURN = "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"


def build(sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """Return a random model and its processor."""
    tokenizer = bpe_tokenizer(AROUND, WHOLE, TURN, image_token=IMAGE)
    side = {"longest_edge": sizes.image_size}
    pixels = Idefics3ImageProcessorPil(
        size=side, max_image_size=side, do_image_splitting=False, image_mean=CLIP_MEAN, image_std=CLIP_STD
    )
    processor = Idefics3Processor(
        pixels,
        tokenizer,
        image_seq_len=(sizes.grid // FOLD) ** 2,
        chat_template=chat_template(IMAGE),
    )
    config = Idefics3Config(
        vision_config=tower_sizes(sizes),
        text_config=LlamaConfig(**decoder_sizes(sizes, len(tokenizer))),
        image_token_id=tokenizer.image_token_id,
        scale_factor=FOLD,
        tie_word_embeddings=True,
        pad_token_id=special_ids()["pad_token_id"],
    )
    return seeded(lambda: Idefics3ForConditionalGeneration(config), seed), processor


class Idefics3(SmallVLM):
    """Folded patches in the decoder's sequence."""

    description = "Idefics3 (SmolVLM): SigLIP, 2 x 2 patches folded into a token, linear connector, LLaMA"
    vision_modules = ("model.vision_model",)
    prompt_format = LLAVA_FORMAT

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        image = AROUND + WHOLE + IMAGE * (sizes.grid // FOLD) ** 2 + AROUND
        self.prefix_ids = self.tokenizer.encode(f"<s>USER: {image}").ids

    @property
    def decoder(self) -> nn.Module:
        """The LLaMA."""
        module: nn.Module = self.model.model.text_model
        return module

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens before they are folded."""
        images, grid = pixels["pixel_values"], self.sizes.grid
        real = torch.ones(len(images), grid, grid, dtype=torch.bool, device=images.device)
        tokens: Tensor = self.model.model.vision_model(images, patch_attention_mask=real).last_hidden_state
        return tokens

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the folded patches, projected."""
        tokens: Tensor = self.model.model.connector(self.patch_features(pixels))
        return tokens
