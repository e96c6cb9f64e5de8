"""A small LLaVA-NeXT: CLIP ViT, two-layer MLP, LLaMA; the image once whole and once more as its only tile.

An image of the model's own size is one tile, and that tile is the image itself: the tower runs once, and its patches
stand in the decoder's sequence twice, the second time with a learned newline token after each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
)

from vtbench_training.small_models.base import Pixels, SmallVLM
from vtbench_training.small_models.components import chat_template, decoder_sizes, seeded, tower_sizes
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

IMAGE = "<image>"


def build(
    sizes: Sizes, seed: int = 0, tied: bool = True, templated: bool = True, resolutions: Sequence[tuple[int, int]] = ()
) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        templated: whether the processor has a chat template.
        resolutions: (height, width) in pixels to which an image may be resized before it is cut into tiles of
            `sizes.image_size`; by default the image is one tile.
    """
    tokenizer = bpe_tokenizer(image_token=IMAGE)
    side = sizes.image_size
    pinpoints = [list(resolution) for resolution in resolutions] or [[side, side]]
    pixels = LlavaNextImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_grid_pinpoints=pinpoints
    )
    processor = LlavaNextProcessor(
        pixels,
        tokenizer,
        patch_size=sizes.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template(IMAGE) if templated else None,
    )
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**tower_sizes(sizes), projection_dim=sizes.vision_hidden),
        text_config=LlamaConfig(**decoder_sizes(sizes, len(tokenizer), tied)),
        image_grid_pinpoints=pinpoints,
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=tied,
    )
    return seeded(lambda: LlavaNextForConditionalGeneration(config), seed), processor


class LlavaNext(SmallVLM):
    """The tower's patches through the connector, as the whole image and as a tile with newline tokens."""

    description = "LLaVA-NeXT: CLIP ViT on the image and its tile, two-layer MLP connector, LLaMA"

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        whole, tile = sizes.grid**2, sizes.grid * (sizes.grid + 1)
        self.prefix_ids = [*self.tokenizer.encode("<s>USER: ").ids, *[model.config.image_token_id] * (whole + tile)]

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the patches through the connector: plain, then row by row with newline tokens."""
        tokens, grid = super().visual_tokens(pixels), self.sizes.grid
        marks = self.model.model.image_newline.to(tokens.dtype).expand(len(tokens), grid, 1, -1)
        rows = torch.cat([tokens.unflatten(1, (grid, grid)), marks], dim=2)
        return torch.cat([tokens, rows.flatten(1, 2)], dim=1)
