"""PaliGemma: SigLIP's patches through one linear layer, then a Gemma that reads pictures and question both ways.

The picture is squeezed into the tower's square; its patches, row by row, are the visual tokens at every layer. The
prefix is attended to in both directions, so a token in the decoder has seen the tokens after it and the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from vtbench_families.base import Family
from vtbench_hf.parts import TOWER_AND_PROJECTOR, Parts
from vtbench_llava.pixels import patch_boxes


class PaliGemma(Family):
    """SigLIP tower, linear connector, prefix language model."""

    answer_marks: ClassVar[Mapping[str, int]] = {"token_type_ids": 1}

    def _parts(self) -> Parts:
        return TOWER_AND_PROJECTOR

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "pictures of side", pixels.size["height"], vision.image_size
        yield "so many tokens a picture:", pixels.image_seq_length, (vision.image_size // vision.patch_size) ** 2

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        patch = self.model.config.vision_config.patch_size
        return patch_boxes(self.processor.image_processor, size, self.image_size, patch)
