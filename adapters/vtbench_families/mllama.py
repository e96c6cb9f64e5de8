"""Llama 3.2 Vision: the patches of up to four tiles are read by the decoder's cross-attention layers.

The projected hidden states that these layers attend to are the `connector` layer: a class token and the patches of each
tile. They are never in the decoder's sequence, so there are no decoder layers of visual tokens. Padding tiles are left
out. The class token has the box of its tile. An image that leaves tokens of padding only has no boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers.models.mllama.image_processing_pil_mllama import (
    get_image_size_fit_to_canvas,
    get_optimal_tiled_canvas,
)
from typing_extensions import override

from vtbench_families.base import TiledFamily
from vtbench_hf.adapter import Inputs
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.token_boxes import crop_to_image, grid, with_class_token


class Mllama(TiledFamily):
    """Two-stage tower over tiles, linear projection, decoder with cross-attention layers."""

    @override
    def model_parts(self) -> ModelParts:
        """Return the parts; the cross-attention layers, added to a trained language model, belong to the connector."""
        text = self.model.config.text_config
        layers = {i: f"model.language_model.layers.{i}" for i in range(text.num_hidden_layers)}
        original = [path for i, path in layers.items() if i not in text.cross_attention_layers]
        added = [path for i, path in layers.items() if i in text.cross_attention_layers]
        return {
            "vision": ("model.vision_model",),
            "connector": ("model.multi_modal_projector", *added),
            "text": ("model.language_model.embed_tokens", *original, "model.language_model.norm", "lm_head"),
        }

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "tile size", pixels.size["height"], vision.image_size
        yield "max_image_tiles", pixels.max_image_tiles, vision.max_num_tiles

    @override
    def layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder")

    @override
    def encoder_features(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the hidden states of each image's tiles, a list of (1 + patches, d)."""

        def compute() -> list[torch.Tensor]:
            names = ("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask")
            states = self.model.model.vision_model(**{name: inputs[name] for name in names}).last_hidden_state
            real = inputs["aspect_ratio_mask"].bool()
            return [row[mask] for row, mask in zip(states.flatten(0, 1), real.flatten(0, 1), strict=True)]

        return self.cache.get_or_compute("encoder", compute)

    @override
    def connector_features(self, inputs: Inputs) -> list[torch.Tensor]:
        return [self.model.model.multi_modal_projector(row) for row in self.encoder_features(inputs)]

    @override
    def visual_token_counts(self, inputs: Inputs) -> list[int]:
        vision = self.model.config.vision_config
        tiles = inputs["aspect_ratio_mask"].flatten(1).sum(1)
        counts: list[int] = (tiles * (1 + (vision.image_size // vision.patch_size) ** 2)).tolist()
        return counts

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        width, height = size
        vision = self.model.config.vision_config
        tile, side = vision.image_size, vision.image_size // vision.patch_size
        canvas = get_optimal_tiled_canvas(height, width, vision.max_num_tiles, tile)
        shown_height, shown_width = get_image_size_fit_to_canvas(height, width, *canvas, tile)
        rows, columns = canvas[0] // tile, canvas[1] // tile
        windows = grid(rows, columns, (0, 0, columns * tile, rows * tile))
        boxes = np.concatenate([with_class_token(grid(side, side, window)) for window in windows])
        return crop_to_image(boxes, 0, 0, shown_width, shown_height)
