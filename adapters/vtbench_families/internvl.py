"""InternVL: tiles that fit the picture's shape and one of the whole, each shrunk by pixel shuffle.

A tile's patches, 2 x 2 of them folded into one token, are the visual tokens; the tiles come row by row, then the whole
picture once more where there is more than one. Where the processor cuts no tiles the picture is squeezed into one. The
`encoder` layer is the patches before the fold, without the class token, which the connector is not given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from vtbench_families.base import Family
from vtbench_families.boxes import grid, tiles
from vtbench_hf.adapter import Inputs
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import TOWER_AND_PROJECTOR, Parts


class InternVL(Family, MergedAdapter):
    """InternViT over tiles, pixel shuffle, MLP, causal decoder."""

    def _parts(self) -> Parts:
        return TOWER_AND_PROJECTOR

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        yield "tiles of side", self.processor.image_processor.size["height"], self.image_size
        yield "so many tokens a tile:", self.processor.image_seq_length, self._side("connector") ** 2

    def _takes(self, side: int) -> bool:
        return self.image_size is not None and side % self.image_size == 0

    def _sizes_taken(self) -> str:
        return f"sides that are multiples of its tiles' {self.image_size} pixels are taken"

    def _encoder(self, inputs: Inputs) -> torch.Tensor:
        config, features = self.model.config, self._features(inputs)
        layer = config.vision_feature_layer
        states: torch.Tensor = features.last_hidden_state if layer == -1 else features.hidden_states[layer]
        return states[:, 1:] if config.vision_feature_select_strategy == "default" else states

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        side, pixels = self._side(layer), self.processor.image_processor
        whole = grid(side, side)
        blank = [[Image.new("RGB", size)]]
        if len(self.processor(images=blank, text=[self.processor.image_token], return_tensors="pt").pixel_values) == 1:
            return whole
        tile = (pixels.size["height"], pixels.size["width"])
        columns, rows = get_optimal_tiled_canvas(size[::-1], tile, pixels.min_patches, pixels.max_patches)
        return np.concatenate([tiles(rows, columns, side), whole])

    def _side(self, layer: str) -> int:
        """Return the side of a tile in tokens."""
        config = self.model.config
        patches = int(config.vision_config.image_size[0] // config.vision_config.patch_size[0])
        return patches if layer == "encoder" else int(patches * config.downsample_ratio)
