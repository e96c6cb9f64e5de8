"""Qwen2-VL: the image at its own size, 2 x 2 patches merged into a token, positions in three axes (M-RoPE).

An image of h x w pixels has h / 28 x w / 28 tokens, after both sides are rounded to multiples of 28 (patches of 14).
The `encoder` layer is the patches before the merger, four to a token and in the order of the tokens. Under a token
budget the remaining tokens keep their three positions of the full prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Any

import numpy as np
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize
from typing_extensions import override

from vtbench_families.base import Family
from vtbench_hf.adapter import Inputs
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.token_boxes import grid, tiles


class Qwen2VL(Family, MergedAdapter):
    """Tower at native resolution, merger MLP, decoder with rotary positions in time, height and width."""

    @override
    def model_parts(self) -> ModelParts:
        return {
            "vision": ("model.visual.patch_embed", "model.visual.blocks"),
            "connector": ("model.visual.merger",),
            "text": ("model.language_model", "lm_head"),
        }

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "patch size", pixels.patch_size, vision.patch_size
        yield "merge size", pixels.merge_size, vision.spatial_merge_size

    @override
    def preferred_image_size(self) -> int | None:
        """Return the side where the processor allows one size only; None: no preference."""
        least, most = self._areas()
        return isqrt(least) if least == most else None

    @override
    def accepts_image_size(self, side: int) -> bool:
        least, most = self._areas()
        return side % self._factor() == 0 and least <= side * side <= most

    @override
    def accepted_image_sizes(self) -> str:
        least, most, factor = *self._areas(), self._factor()
        smallest, largest = -(-max(isqrt(least - 1) + 1, 1) // factor) * factor, isqrt(most) // factor * factor
        return f"multiples of {factor} from {smallest} to {largest} are taken as they are"

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        width, height = size
        factor = self._factor()
        shown_height, shown_width = smart_resize(height, width, factor, *self._areas())
        rows, columns = shown_height // factor, shown_width // factor
        merge = self.model.config.vision_config.spatial_merge_size
        return tiles(rows, columns, merge) if layer == "encoder" else grid(rows, columns)

    @override
    def image_features(self, inputs: Inputs) -> Any:
        self._axes(inputs)  # needed before a budget replaces `input_ids`
        return super().image_features(inputs)

    @override
    def position_ids(self, inputs: Inputs) -> torch.Tensor:
        """Return positions in time, height and width, (3, B, P), looked up by the position in the full prompt."""
        index_BP, axes_3BP = super().position_ids(inputs), self._axes(inputs)
        return index_BP if axes_3BP is None else axes_3BP.gather(2, index_BP.expand(3, -1, -1))

    def _axes(self, inputs: Inputs) -> torch.Tensor | None:
        """Return the M-RoPE positions of the full prompts without padding, (3, B, P); None without images."""
        if "image_grid_thw" not in inputs:
            known: torch.Tensor | None = self.cache.get("axes")
            return known

        def compute() -> torch.Tensor:
            names = ("input_ids", "mm_token_type_ids", "image_grid_thw", "attention_mask")
            axes_3BP: torch.Tensor = self.model.model.get_rope_index(**{name: inputs[name] for name in names})[0]
            first_B1 = inputs["attention_mask"].argmax(1, keepdim=True)
            rolled_BP = (torch.arange(axes_3BP.shape[2], device=axes_3BP.device) + first_B1) % axes_3BP.shape[2]
            return axes_3BP.gather(2, rolled_BP.expand(3, -1, -1))

        return self.cache.get_or_compute("axes", compute)

    def _factor(self) -> int:
        """Return the side in pixels of the square that one token is made of."""
        vision = self.model.config.vision_config
        return int(vision.patch_size * vision.spatial_merge_size)

    def _areas(self) -> tuple[int, int]:
        """Return the minimum and maximum number of pixels of an image."""
        size = self.processor.image_processor.size
        return int(size["shortest_edge"]), int(size["longest_edge"])
