"""A small LLaVA-NeXT: CLIP ViT, two-layer MLP, LLaMA; the picture once whole and once more as its only tile.

A picture of the model's own size is one tile, and that tile is the picture itself: the tower runs once, and its patches
stand in the decoder's sequence twice, the second time with a learned mark after each row.
"""

from __future__ import annotations

from typing import Any, Self

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

from vtbench_training.pupils.base import (
    TEMPLATE,
    Pixels,
    Pupil,
    built,
    decoder_sizes,
    fast_tokenizer,
    tower_sizes,
)
from vtbench_training.recipe import Sizes
from vtbench_training.wording import LLAVA_TURNS

IMAGE = "<image>"


class LlavaNext(Pupil):
    """The tower's patches through the connector, as the whole picture and as a tile with marks."""

    about = "LLaVA-NeXT: CLIP ViT on the picture and its tile, two-layer MLP connector, LLaMA"
    sees = ("model.vision_tower",)
    wording = LLAVA_TURNS

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        whole, tile = sizes.grid**2, sizes.grid * (sizes.grid + 1)
        self.head = [*self.tokenizer.encode("<s>USER: ").ids, *[model.config.image_token_id] * (whole + tile)]

    @classmethod
    def build(cls, sizes: Sizes, seed: int) -> Self:
        """Return an untrained one."""
        tokenizer = fast_tokenizer(image_token=IMAGE)
        side = sizes.image_size
        pixels = LlavaNextImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_grid_pinpoints=[[side, side]]
        )
        processor = LlavaNextProcessor(
            pixels,
            tokenizer,
            patch_size=sizes.patch_size,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=TEMPLATE.replace("PICTURE", IMAGE),
        )
        config = LlavaNextConfig(
            vision_config=CLIPVisionConfig(**tower_sizes(sizes), projection_dim=sizes.vision_hidden),
            text_config=LlamaConfig(**decoder_sizes(sizes, len(tokenizer))),
            image_grid_pinpoints=[[side, side]],
            image_token_index=tokenizer.image_token_id,
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            tie_word_embeddings=True,
        )
        return cls(built(lambda: LlavaNextForConditionalGeneration(config), seed), processor, sizes)

    def visual(self, pixels: Pixels) -> Tensor:
        """Return what the connector makes of the patches: plain, then row by row with the mark."""
        tokens: Tensor = self.model.model.multi_modal_projector(self.patches(pixels))
        grid = self.sizes.grid
        marks = self.model.model.image_newline.to(tokens.dtype).expand(len(tokens), grid, 1, -1)
        rows = torch.cat([tokens.unflatten(1, (grid, grid)), marks], dim=2)
        return torch.cat([tokens, rows.flatten(1, 2)], dim=1)
