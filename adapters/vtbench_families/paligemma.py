"""PaliGemma: SigLIP's patches through one linear layer; Gemma reads image and question bidirectionally (prefix LM).

The image is resized to the tower's square; its patches, row by row, are the visual tokens at every layer. A token in
the decoder has attended to the tokens after it and to the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from vtbench_families.base import Family
from vtbench_hf.model_parts import TOWER_AND_PROJECTOR, ModelParts
from vtbench_hf.token_boxes import patch_boxes


class PaliGemma(Family):
    """SigLIP tower, linear connector, prefix language model."""

    answer_input_values: ClassVar[Mapping[str, int]] = {"token_type_ids": 1}

    @override
    def model_parts(self) -> ModelParts:
        return TOWER_AND_PROJECTOR

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        pixels, vision = self.processor.image_processor, self.model.config.vision_config
        yield "image size", pixels.size["height"], vision.image_size
        yield "tokens per image", pixels.image_seq_length, (vision.image_size // vision.patch_size) ** 2

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        patch = self.model.config.vision_config.patch_size
        return patch_boxes(self.processor.image_processor, size, self.image_size, patch)
