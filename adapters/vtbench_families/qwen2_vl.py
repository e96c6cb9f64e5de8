"""Qwen2-VL: the picture at its own size, 2 x 2 patches merged into a token, positions in three axes.

A picture of h x w pixels has h / 28 x w / 28 tokens, after both sides are rounded to multiples of 28 (patches of 14).
The `encoder` layer is the patches before the merger, four to a token and in the order of the tokens. Under a token
budget what is left keeps the three positions of its place in the whole prompt, and text keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Any

import numpy as np
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from vtbench_families.base import Family
from vtbench_families.boxes import grid, tiles
from vtbench_hf.adapter import Inputs
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import Parts


class Qwen2VL(Family, MergedAdapter):
    """Tower at native resolution, merger MLP, decoder with rotary positions in time, height and width."""

    def _parts(self) -> Parts:
        return {
            "vision": ("model.visual.patch_embed", "model.visual.blocks"),
            "connector": ("model.visual.merger",),
            "text": ("model.language_model", "lm_head"),
        }

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "patches of side", pixels.patch_size, vision.patch_size
        yield "patches merged by", pixels.merge_size, vision.spatial_merge_size

    def _image_size(self) -> int | None:
        """Return the side where the processor allows pictures of one size only; None: no preference."""
        least, most = self._areas()
        return isqrt(least) if least == most else None

    def _takes(self, side: int) -> bool:
        least, most = self._areas()
        return side % self._factor() == 0 and least <= side * side <= most

    def _sizes_taken(self) -> str:
        least, most, factor = *self._areas(), self._factor()
        smallest, largest = -(-max(isqrt(least - 1) + 1, 1) // factor) * factor, isqrt(most) // factor * factor
        return f"multiples of {factor} from {smallest} to {largest} are taken as they are"

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        width, height = size
        factor = self._factor()
        shown_height, shown_width = smart_resize(height, width, factor, *self._areas())
        rows, columns = shown_height // factor, shown_width // factor
        merge = self.model.config.vision_config.spatial_merge_size
        return tiles(rows, columns, merge) if layer == "encoder" else grid(rows, columns)

    def _features(self, inputs: Inputs) -> Any:
        self._axes(inputs)  # a budget leaves nothing that they could be made of
        return super()._features(inputs)

    def _positions(self, inputs: Inputs) -> torch.Tensor:
        """Return positions in time, height and width, (3, B, P): those of each token's place in the whole prompt."""
        place_BP, axes_3BP = super()._positions(inputs), self._axes(inputs)
        return place_BP if axes_3BP is None else axes_3BP.gather(2, place_BP.expand(3, -1, -1))

    def _axes(self, inputs: Inputs) -> torch.Tensor | None:
        """Return the positions of the batch's whole prompts, each from its first token on; None for text alone."""
        if "image_grid_thw" not in inputs:
            known: torch.Tensor | None = self._memo.known("axes")
            return known

        def made() -> torch.Tensor:
            names = ("input_ids", "mm_token_type_ids", "image_grid_thw", "attention_mask")
            axes_3BP: torch.Tensor = self.model.model.get_rope_index(**{name: inputs[name] for name in names})[0]
            first_B1 = inputs["attention_mask"].argmax(1, keepdim=True)
            turned_BP = (torch.arange(axes_3BP.shape[2], device=axes_3BP.device) + first_B1) % axes_3BP.shape[2]
            return axes_3BP.gather(2, turned_BP.expand(3, -1, -1))

        return self._memo.part("axes", made)

    def _factor(self) -> int:
        """Return the side in pixels of what one token sees."""
        vision = self.model.config.vision_config
        return int(vision.patch_size * vision.spatial_merge_size)

    def _areas(self) -> tuple[int, int]:
        """Return the least and the most pixels of a picture."""
        size = self.processor.image_processor.size
        return int(size["shortest_edge"]), int(size["longest_edge"])
