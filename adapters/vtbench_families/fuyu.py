"""Fuyu: no vision tower; a linear layer makes a decoder token of each raw patch.

A picture keeps its size unless it is larger than the processor's canvas. Its patches, row by row, are the visual
tokens; the last of a row or column may be part padding. The mark that ends each row of patches is text, not a visual
token. The linear layer's output is the `connector` layer; what the connector reads is pixels, so there is no `encoder`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import FuyuImageProcessorPil

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_families.base import Family
from vtbench_families.boxes import grid, of_picture
from vtbench_hf.adapter import Inputs
from vtbench_hf.loading import Loaded
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import Parts
from vtbench_hf.prompting import prompt_text
from vtbench_hf.visual import QUARTERS, image_features


class _TensorPatches(FuyuImageProcessorPil):
    """The processor hands it tensors and wants tensors back, as the one that needs torchvision takes and gives."""

    def patchify_image(self, image: torch.Tensor, patch_size: Any = None) -> torch.Tensor:
        patches: torch.Tensor = torch.from_numpy(super().patchify_image(image.numpy(), patch_size))
        return patches


_TensorPatches.__name__ = FuyuImageProcessorPil.__name__  # saved with the processor, as the class that loads it again


class Fuyu(Family, MergedAdapter):
    """Raw patches, linear layer, causal decoder."""

    def __init__(self, loaded: Loaded, image_size: int | None = None) -> None:
        super().__init__(loaded, image_size)
        pixels = self.processor.image_processor
        if isinstance(pixels, FuyuImageProcessorPil):
            pixels.__class__ = _TensorPatches

    def _parts(self) -> Parts:
        return {"connector": ("model.vision_embed_tokens",), "text": ("model.language_model", "lm_head")}

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        yield "patches of side", self.processor.image_processor.patch_size["height"], self.model.config.patch_size

    def _image_size(self) -> int | None:
        return int(self.model.config.image_size)

    def _takes(self, side: int) -> bool:
        return side <= min(self._canvas())

    def _sizes_taken(self) -> str:
        return f"sides up to {min(self._canvas())} are taken as they are"

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector", *QUARTERS)

    def _process(self, samples: Sequence[Sample]) -> Any:
        if any(len(sample.images) != 1 for sample in samples):
            raise SampleError("Fuyu takes one picture a question, no more and no less")
        # The processor writes the picture's tokens and the mark that begins the answer.
        has_template = getattr(self.processor, "chat_template", None)
        texts = [prompt_text(self.processor, sample) if has_template else sample.prompt for sample in samples]
        images = [sample.images[0] for sample in samples]
        return self.processor(images=images, text=texts, return_tensors="pt", return_legacy_image_output=False)

    def _features(self, inputs: Inputs) -> Any:
        return self._memo.part("features", lambda: image_features(self.model.model, inputs))

    def _connector(self, inputs: Inputs) -> torch.Tensor:
        tokens: torch.Tensor = self._features(inputs).last_hidden_state
        return tokens

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        (width, height), patch = size, self.model.config.patch_size
        shrunk = min(1.0, *(most / side for most, side in zip(self._canvas(), size, strict=True)))
        shown_width, shown_height = int(width * shrunk), int(height * shrunk)
        rows, columns = -(-shown_height // patch), -(-shown_width // patch)
        return of_picture(grid(rows, columns, (0, 0, columns * patch, rows * patch)), 0, 0, shown_width, shown_height)

    def _canvas(self) -> tuple[int, int]:
        """Return the largest width and height that the processor leaves as they are."""
        size = self.processor.image_processor.size
        return int(size["width"]), int(size["height"])
