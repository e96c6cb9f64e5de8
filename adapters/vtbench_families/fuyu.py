"""Fuyu: no vision tower; a linear layer makes a decoder token of each raw patch.

An image keeps its size unless it is larger than the processor's canvas. Its patches, row by row, are the visual tokens;
the last ones of a row or column may be partly padding. The newline token after each row of patches is text, no visual
token. The linear layer's output is the `connector` layer; its input is pixels, so there is no `encoder` layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import FuyuImageProcessorPil
from typing_extensions import override

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_families.base import Family
from vtbench_hf.adapter import Inputs
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.prompts import prompt_images, prompt_parts
from vtbench_hf.token_boxes import crop_to_image, grid
from vtbench_hf.visual_features import DECODER_DEPTHS, image_features


class _TensorPatches(FuyuImageProcessorPil):
    """Takes and returns tensors, as Fuyu's processor expects of the image processor that needs torchvision."""

    def patchify_image(self, image: torch.Tensor, patch_size: Any = None) -> torch.Tensor:
        patches: torch.Tensor = torch.from_numpy(super().patchify_image(image.numpy(), patch_size))
        return patches


_TensorPatches.__name__ = FuyuImageProcessorPil.__name__  # saved with the processor, as the class that loads it again


class Fuyu(Family, MergedAdapter):
    """Raw patches, linear layer, causal decoder."""

    def __init__(self, loaded: LoadedModel, image_size: int | None = None) -> None:
        super().__init__(loaded, image_size)
        pixels = self.processor.image_processor
        if isinstance(pixels, FuyuImageProcessorPil):
            pixels.__class__ = _TensorPatches

    @override
    def model_parts(self) -> ModelParts:
        return {"connector": ("model.vision_embed_tokens",), "text": ("model.language_model", "lm_head")}

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        yield "patch size", self.processor.image_processor.patch_size["height"], self.model.config.patch_size

    @override
    def preferred_image_size(self) -> int | None:
        return int(self.model.config.image_size)

    @override
    def accepts_image_size(self, side: int) -> bool:
        return side <= min(self._canvas())

    @override
    def accepted_image_sizes(self) -> str:
        return f"sides up to {min(self._canvas())} are taken as they are"

    @override
    def layer_names(self) -> tuple[str, ...]:
        return ("connector", *DECODER_DEPTHS)

    @override
    def call_processor(self, samples: Sequence[Sample]) -> Any:
        if any(len(prompt_images(sample)) != 1 for sample in samples):
            raise SampleError("Fuyu takes exactly one image per question")
        # The processor writes the image's tokens and the token that begins the answer.
        texts = [self.prompt_text(sample) for sample in samples]
        images = [sample.images[0] for sample in samples]
        return self.processor(images=images, text=texts, return_tensors="pt", return_legacy_image_output=False)

    @override
    def prompt_text(self, sample: Sample) -> str:
        if getattr(self.processor, "chat_template", None):
            return super().prompt_text(sample)
        return "".join(part for part in prompt_parts(self.processor, sample) if isinstance(part, str))

    @override
    def image_features(self, inputs: Inputs) -> Any:
        return self.cache.get_or_compute("features", lambda: image_features(self.model.model, inputs))

    @override
    def connector_features(self, inputs: Inputs) -> torch.Tensor:
        tokens: torch.Tensor = self.image_features(inputs).last_hidden_state
        return tokens

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        (width, height), patch = size, self.model.config.patch_size
        scale = min(1.0, *(most / side for most, side in zip(self._canvas(), size, strict=True)))
        shown_width, shown_height = int(width * scale), int(height * scale)
        rows, columns = -(-shown_height // patch), -(-shown_width // patch)
        return crop_to_image(
            grid(rows, columns, (0, 0, columns * patch, rows * patch)), 0, 0, shown_width, shown_height
        )

    def _canvas(self) -> tuple[int, int]:
        """Return the largest width and height that the processor leaves as they are."""
        size = self.processor.image_processor.size
        return int(size["width"]), int(size["height"])
