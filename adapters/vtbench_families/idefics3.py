"""Idefics3 and SmolVLM: tiles of the enlarged picture and one of the whole, each shrunk by pixel shuffle.

A tile's patches, `scale_factor` x `scale_factor` of them folded into one token, are the visual tokens; the tiles come
row by row, then the whole picture once more. A picture within one tile has that tile only. The `encoder` layer is the
patches before the fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from vtbench_families.base import Family
from vtbench_families.boxes import grid, tiles
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import Parts


class Idefics3(Family, MergedAdapter):
    """SigLIP tower over tiles, pixel shuffle, linear connector, causal decoder."""

    def _parts(self) -> Parts:
        return {
            "vision": ("model.vision_model",),
            "connector": ("model.connector",),
            "text": ("model.text_model", "lm_head"),
        }

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "tiles of side", pixels.max_image_size["longest_edge"], vision.image_size
        yield "so many tokens a tile:", self.processor.image_seq_len, self._side("connector") ** 2

    def _takes(self, side: int) -> bool:
        return self.image_size is not None and side % self.image_size == 0

    def _sizes_taken(self) -> str:
        return f"sides that are multiples of its tiles' {self.image_size} pixels are taken"

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
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
        """Return into how many rows and columns of tiles the processor cuts a picture; 0, 0 where into none."""
        pixels = self.processor.image_processor
        cut = pixels([[Image.new("RGB", size)]], return_row_col_info=True, return_tensors="np")
        return int(cut["rows"][0][0]), int(cut["cols"][0][0])
