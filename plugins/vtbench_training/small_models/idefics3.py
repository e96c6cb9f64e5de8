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

from vtbench_training.small_models.base import Pixels, SmallVLM
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


def build(
    sizes: Sizes, seed: int = 0, tied: bool = True, templated: bool = True, longest_edge: int | None = None
) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        templated: whether the processor has a chat template.
        longest_edge: side in pixels to which an image is resized before it is cut into tiles of `sizes.image_size`,
            which the model gets along with the whole image; by default the image is one tile.
    """
    across = (longest_edge or 0) // sizes.image_size
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, across + 1) for column in range(1, across + 1)]
    tokenizer = bpe_tokenizer(AROUND, WHOLE, TURN, *tiles, image_token=IMAGE)
    pixels = Idefics3ImageProcessorPil(
        size={"longest_edge": longest_edge or sizes.image_size},
        max_image_size={"longest_edge": sizes.image_size},
        do_image_splitting=longest_edge is not None,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
    )
    processor = Idefics3Processor(
        pixels,
        tokenizer,
        image_seq_len=(sizes.grid // FOLD) ** 2,
        chat_template=chat_template(IMAGE) if templated else None,
    )
    config = Idefics3Config(
        vision_config=tower_sizes(sizes),
        text_config=LlamaConfig(**decoder_sizes(sizes, len(tokenizer), tied)),
        image_token_id=tokenizer.image_token_id,
        scale_factor=FOLD,
        tie_word_embeddings=tied,
        pad_token_id=special_ids()["pad_token_id"],
    )
    return seeded(lambda: Idefics3ForConditionalGeneration(config), seed), processor


class Idefics3(SmallVLM):
    """Folded patches in the decoder's sequence."""

    description = "Idefics3 (SmolVLM): SigLIP, 2 x 2 patches folded into a token, linear connector, LLaMA"
    vision_modules = ("model.vision_model",)

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
        """Return the tower's last hidden state before patches are folded."""
        images, grid = pixels["pixel_values"], self.sizes.grid
        real = torch.ones(len(images), grid, grid, dtype=torch.bool, device=images.device)
        tokens: Tensor = self.model.model.vision_model(images, patch_attention_mask=real).last_hidden_state
        return tokens

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the folded patches, projected."""
        tokens: Tensor = self.model.model.connector(self.patch_features(pixels))
        return tokens
