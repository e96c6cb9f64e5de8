"""Idefics3 and SmolVLM: tiles of the upscaled image and the whole image as one more, each reduced by pixel shuffle.

Pixel shuffle folds `scale_factor` x `scale_factor` patches of a tile into one visual token. The tiles come row by row,
then the whole image. An image that fits into one tile has that tile only. The `encoder` layer is the patches before
pixel shuffle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from typing_extensions import override

from vtbench_families.base import TiledFamily
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.token_boxes import grid, tiles


class Idefics3(TiledFamily, MergedAdapter):
    """SigLIP tower over tiles, pixel shuffle, linear connector, causal decoder."""

    @override
    def model_parts(self) -> ModelParts:
        return {
            "vision": ("model.vision_model",),
            "connector": ("model.connector",),
            "text": ("model.text_model", "lm_head"),
        }

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "tile size", pixels.max_image_size["longest_edge"], vision.image_size
        yield "tokens per tile", self.processor.image_seq_len, self._side("connector") ** 2

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        side = self._side(layer)
        rows, columns = self._tiles(size)
        whole = grid(side, side)
        return np.concatenate([tiles(rows, columns, side), whole]) if rows * columns else whole

    def _side(self, layer: str) -> int:
        """Return the side of a tile in tokens."""
        config = self.model.config
        patches = int(config.vision_config.image_size // config.vision_config.patch_size)
        return patches if layer == "encoder" else patches // int(config.scale_factor)

    def _tiles(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the rows and columns of tiles of an image; 0, 0 where the processor does not split it."""
        pixels = self.processor.image_processor
        split = pixels([[Image.new("RGB", size)]], return_row_col_info=True, return_tensors="np")
        return int(split["rows"][0][0]), int(split["cols"][0][0])
