"""InternVL: tiles that fit the image's aspect ratio and the whole image as one more, each reduced by pixel shuffle.

Pixel shuffle folds 2 x 2 patches of a tile into one visual token. The tiles come row by row, then the whole image where
there is more than one tile. An image that the processor does not split is resized to one tile. The `encoder` layer is
the patches before pixel shuffle, without the class token, which the connector is not given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
from typing_extensions import override

from vtbench_families.base import TiledFamily
from vtbench_hf.adapter import Inputs
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import TOWER_AND_PROJECTOR, ModelParts
from vtbench_hf.token_boxes import grid, tiles


class InternVL(TiledFamily, MergedAdapter):
    """InternViT over tiles, pixel shuffle, MLP, causal decoder."""

    @override
    def model_parts(self) -> ModelParts:
        return TOWER_AND_PROJECTOR

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        yield "tile size", self.processor.image_processor.size["height"], self.image_size
        yield "tokens per tile", self.processor.image_seq_length, self._side("connector") ** 2

    @override
    def encoder_features(self, inputs: Inputs) -> torch.Tensor:
        config, features = self.model.config, self.image_features(inputs)
        layer = config.vision_feature_layer
        states: torch.Tensor = features.last_hidden_state if layer == -1 else features.hidden_states[layer]
        return states[:, 1:] if config.vision_feature_select_strategy == "default" else states

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
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
