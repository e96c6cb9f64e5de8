"""LLaVA-NeXT and LLaVA-OneVision: the whole picture once, then tiles of it at the resolution nearest to its own.

The visual tokens are the patches of the whole picture, then those of all tiles together, row by row over the picture,
the tiles' padding cut off. After each row stands a learned mark, the same for every picture; it is no visual token and
left out at every layer; a token budget leaves it
where it is. Many rows are averaged down to fewer in OneVision. The `encoder` layer is the tower's patches
tile by tile, padding and all, and has boxes only for a picture that fills its tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape, unpad_image

from vtbench_families.base import Family
from vtbench_families.boxes import WHOLE, grid, of_picture, tiles
from vtbench_hf.adapter import Inputs
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import TOWER_AND_PROJECTOR, Parts
from vtbench_hf.visual import connector_rows, tower_rows


class LlavaNext(Family, MergedAdapter):
    """CLIP tower over tiles, MLP connector, causal decoder."""

    def _parts(self) -> Parts:
        connector = (*TOWER_AND_PROJECTOR["connector"], "model.image_newline")
        return {**TOWER_AND_PROJECTOR, "connector": connector}

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        pixels = self.processor.image_processor
        shape = getattr(pixels, "crop_size", None) or pixels.size
        yield "tiles of side", shape["height"], self.image_size
        yield "resolutions", [*pixels.image_grid_pinpoints], [*self.model.config.image_grid_pinpoints]

    def _takes(self, side: int) -> bool:
        return self.image_size is not None and side % self.image_size == 0

    def _sizes_taken(self) -> str:
        return f"sides that are multiples of its tiles' {self.image_size} pixels are taken"

    def _connector(self, inputs: Inputs) -> list[torch.Tensor]:
        return [row[~self._is_mark(row)] for row in self._placed(inputs)]

    def _placed(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        return connector_rows(self._features(inputs))

    def _encoder(self, inputs: Inputs) -> torch.Tensor:
        return tower_rows(self.model.config, self._features(inputs))

    def _places(self, inputs: Inputs) -> torch.Tensor:
        """Return where the visual tokens stand, (B, P): at the placeholders that are not for a row's mark."""
        place_BP = self._placeholders(inputs)
        if not place_BP.any():
            return place_BP
        marks = torch.cat([self._is_mark(row) for row in self._placed(inputs)])
        return place_BP.masked_scatter(place_BP, ~marks)

    def _is_mark(self, row_ND: torch.Tensor) -> torch.Tensor:
        """Return which of the tokens are the mark that ends a row: it is copied in, so equal in every number."""
        return (row_ND == self.model.model.image_newline.to(row_ND)).all(-1)

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        width, height = size
        vision = self.model.config.vision_config
        side = vision.image_size // vision.patch_size
        shape = torch.tensor([height, width])
        rows, columns = get_anyres_image_grid_shape(shape, self.model.config.image_grid_pinpoints, vision.image_size)
        # In patches: the canvas of all tiles, and the picture in its middle, as large as it can be.
        canvas_width, canvas_height = columns * side, rows * side
        scale = min(canvas_width / width, canvas_height / height)
        shown_width, shown_height = width * scale, height * scale
        picture = ((canvas_width - shown_width) / 2, (canvas_height - shown_height) / 2, shown_width, shown_height)
        if layer == "encoder":
            boxes = of_picture(tiles(rows, columns, side) * np.array([canvas_width, canvas_height] * 2), *picture)
            return None if boxes is None else np.concatenate([grid(side, side), boxes])
        kept = grid(canvas_height, canvas_width, (0, 0, canvas_width, canvas_height))
        kept = unpad_image(torch.from_numpy(kept.T.reshape(4, canvas_height, canvas_width)), shape).numpy()
        window = of_picture(np.array([[*kept[:2].min((1, 2)), *kept[2:].max((1, 2))]]), *picture)
        tokens = self._grid(kept.shape[1], kept.shape[2], side)
        return np.concatenate([grid(side, side), grid(*tokens, WHOLE if window is None else window[0])])

    def _grid(self, rows: int, columns: int, side: int) -> tuple[int, int]:
        """Return the rows and columns of tokens that are made of those of patches."""
        return rows, columns


class LlavaOnevision(LlavaNext):
    """SigLIP tower over tiles, MLP connector, Qwen2; averages rows where there are too many."""

    def _grid(self, rows: int, columns: int, side: int) -> tuple[int, int]:
        most = int(self.model.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = (rows * columns / (most * side**2)) ** 0.5
        return (int(rows // ratio), int(columns // ratio)) if ratio > 1.1 else (rows, columns)
