"""LLaVA-NeXT and LLaVA-OneVision: the whole image, then tiles of it at the nearest supported resolution ("anyres").

The visual tokens are the patches of the whole image, then those of all tiles, row by row over the image, without the
tiles' padding. A learned newline embedding, the same for every image, ends each row; it is no visual token, is left out
at every layer, and keeps its place under a token budget. OneVision pools the tiles' tokens where they are too many. The
`encoder` layer is the tower's patches tile by tile, padding included; it has boxes only for an image that fills its
tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape, unpad_image
from typing_extensions import override

from vtbench_families.base import TiledFamily
from vtbench_hf.adapter import Inputs
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import TOWER_AND_PROJECTOR, ModelParts
from vtbench_hf.token_boxes import WHOLE, crop_to_image, grid, tiles
from vtbench_hf.visual_features import projected_features, selected_tower_features


class LlavaNext(TiledFamily, MergedAdapter):
    """CLIP tower over tiles, MLP connector, causal decoder."""

    @override
    def model_parts(self) -> ModelParts:
        connector = (*TOWER_AND_PROJECTOR["connector"], "model.image_newline")
        return {**TOWER_AND_PROJECTOR, "connector": connector}

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        pixels = self.processor.image_processor
        shape = getattr(pixels, "crop_size", None) or pixels.size
        yield "tile size", shape["height"], self.image_size
        yield "resolutions", [*pixels.image_grid_pinpoints], [*self.model.config.image_grid_pinpoints]

    @override
    def connector_features(self, inputs: Inputs) -> list[torch.Tensor]:
        return [row[~self._is_newline(row)] for row in self.placeholder_features(inputs)]

    @override
    def placeholder_features(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        return projected_features(self.image_features(inputs))

    @override
    def encoder_features(self, inputs: Inputs) -> torch.Tensor:
        return selected_tower_features(self.model.config, self.image_features(inputs))

    @override
    def visual_token_mask(self, inputs: Inputs) -> torch.Tensor:
        """Return where the visual tokens are, (B, P): at the placeholders that are not a newline's."""
        mask_BP = self.placeholder_mask(inputs)
        if not mask_BP.any():
            return mask_BP
        newlines = torch.cat([self._is_newline(row) for row in self.placeholder_features(inputs)])
        return mask_BP.masked_scatter(mask_BP, ~newlines)

    def _is_newline(self, row_ND: torch.Tensor) -> torch.Tensor:
        """Return which tokens are the learned newline: it is copied, so every number is equal."""
        return (row_ND == self.model.model.image_newline.to(row_ND)).all(-1)

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        width, height = size
        vision = self.model.config.vision_config
        side = vision.image_size // vision.patch_size
        shape = torch.tensor([height, width])
        rows, columns = get_anyres_image_grid_shape(shape, self.model.config.image_grid_pinpoints, vision.image_size)
        # In patches: the canvas of all tiles, and the image, scaled to fit and centered on it.
        canvas_width, canvas_height = columns * side, rows * side
        scale = min(canvas_width / width, canvas_height / height)
        shown_width, shown_height = width * scale, height * scale
        image = ((canvas_width - shown_width) / 2, (canvas_height - shown_height) / 2, shown_width, shown_height)
        if layer == "encoder":
            boxes = crop_to_image(tiles(rows, columns, side) * np.array([canvas_width, canvas_height] * 2), *image)
            return None if boxes is None else np.concatenate([grid(side, side), boxes])
        kept = grid(canvas_height, canvas_width, (0, 0, canvas_width, canvas_height))
        kept = unpad_image(torch.from_numpy(kept.T.reshape(4, canvas_height, canvas_width)), shape).numpy()
        window = crop_to_image(np.array([[*kept[:2].min((1, 2)), *kept[2:].max((1, 2))]]), *image)
        tokens = self._grid(kept.shape[1], kept.shape[2], side)
        return np.concatenate([grid(side, side), grid(*tokens, WHOLE if window is None else window[0])])

    def _grid(self, rows: int, columns: int, side: int) -> tuple[int, int]:
        """Return the rows and columns of tokens for those of patches."""
        return rows, columns


class LlavaOnevision(LlavaNext):
    """SigLIP tower over tiles, MLP connector, Qwen2; pools the tiles' tokens where there are too many."""

    def _grid(self, rows: int, columns: int, side: int) -> tuple[int, int]:
        most = int(self.model.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = (rows * columns / (most * side**2)) ** 0.5
        return (int(rows // ratio), int(columns // ratio)) if ratio > 1.1 else (rows, columns)
