"""Llama 3.2 Vision: the tower's patches of up to four tiles feed the decoder's cross-attention layers.

The projected states that these layers attend to are the `connector` layer, a class token and the patches of each tile.
They never stand in the decoder's sequence, so there is no decoder layer to take visual tokens at. Tiles that only fill
the batch up are left out. A tile's class token has the tile's box; a picture that leaves tokens without any part of it,
in the padding of its tiles, has no boxes.
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

from vtbench_families.base import Family
from vtbench_families.boxes import grid, of_picture, with_class
from vtbench_hf.adapter import Inputs
from vtbench_hf.parts import Parts


class Mllama(Family):
    """Two-stage tower over tiles, linear projection, decoder with cross-attention layers."""

    def _parts(self) -> Parts:
        """Return them; the cross-attention layers, which were put into a finished language model, are connector."""
        text = self.model.config.text_config
        layers = {i: f"model.language_model.layers.{i}" for i in range(text.num_hidden_layers)}
        own = [home for i, home in layers.items() if i not in text.cross_attention_layers]
        added = [home for i, home in layers.items() if i in text.cross_attention_layers]
        return {
            "vision": ("model.vision_model",),
            "connector": ("model.multi_modal_projector", *added),
            "text": ("model.language_model.embed_tokens", *own, "model.language_model.norm", "lm_head"),
        }

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "tiles of side", pixels.size["height"], vision.image_size
        yield "at most so many tiles:", pixels.max_image_tiles, vision.max_num_tiles

    def _takes(self, side: int) -> bool:
        return self.image_size is not None and side % self.image_size == 0

    def _sizes_taken(self) -> str:
        return f"sides that are multiples of its tiles' {self.image_size} pixels are taken as they are"

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder")

    def _encoder(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the states of each picture's tiles, (tiles, 1 + patches, d)."""

        def see() -> list[torch.Tensor]:
            names = ("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask")
            seen = self.model.model.vision_model(**{name: inputs[name] for name in names}).last_hidden_state
            real = inputs["aspect_ratio_mask"].bool()
            return [row[mask] for row, mask in zip(seen.flatten(0, 1), real.flatten(0, 1), strict=True)]

        return self._memo.part("encoder", see)

    def _connector(self, inputs: Inputs) -> list[torch.Tensor]:
        return [self.model.model.multi_modal_projector(row) for row in self._encoder(inputs)]

    def _visual_lengths(self, inputs: Inputs) -> list[int]:
        vision = self.model.config.vision_config
        tiles = inputs["aspect_ratio_mask"].flatten(1).sum(1)
        counts: list[int] = (tiles * (1 + (vision.image_size // vision.patch_size) ** 2)).tolist()
        return counts

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        width, height = size
        vision = self.model.config.vision_config
        tile, side = vision.image_size, vision.image_size // vision.patch_size
        canvas = get_optimal_tiled_canvas(height, width, vision.max_num_tiles, tile)
        shown_height, shown_width = get_image_size_fit_to_canvas(height, width, *canvas, tile)
        rows, columns = canvas[0] // tile, canvas[1] // tile
        windows = grid(rows, columns, (0, 0, columns * tile, rows * tile))
        boxes = np.concatenate([with_class(grid(side, side, window)) for window in windows])
        return of_picture(boxes, 0, 0, shown_width, shown_height)
