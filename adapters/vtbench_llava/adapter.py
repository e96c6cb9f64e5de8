"""The adapter of LLaVA, with a faster image processor and a forward pass of its own for the decoder's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature

from vtbench.types import Sample
from vtbench_hf.adapter import Inputs
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import TOWER_AND_PROJECTOR, ModelParts
from vtbench_hf.prompts import adds_special_tokens, prompt_images
from vtbench_hf.token_boxes import patch_boxes
from vtbench_hf.visual_features import DECODER_DEPTHS, selected_tower_features
from vtbench_llava.pixel_table import PixelTable


class LlavaAdapter(MergedAdapter):
    """CLIP-like tower, MLP connector, causal decoder. Images of the model's own size skip the image processor."""

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self._pixels = PixelTable.of(self.processor.image_processor, self.image_size)

    def call_processor(self, samples: Sequence[Sample]) -> Any:
        """Return the processor's tensors; the pixel values from the table where it accepts every image."""
        images = [image for sample in samples for image in prompt_images(sample)]
        one_each = len(images) == len(samples)
        count = getattr(self.model.config, "image_seq_length", None)
        if self._pixels is None or not one_each or not count or not all(map(self._pixels.accepts, images)):
            return super().call_processor(samples)
        token = self.processor.image_token
        texts = [self.prompt_text(sample) for sample in samples]
        batch = self.tokenizer(
            [text.replace(token, token * count) for text in texts],
            padding=True,
            return_tensors="pt",
            add_special_tokens=adds_special_tokens(self.tokenizer, texts[0]),
        )
        text = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        return BatchFeature({**text, "pixel_values": torch.from_numpy(self._pixels(images))})

    def model_parts(self) -> ModelParts:
        """Return LLaVA's."""
        return TOWER_AND_PROJECTOR

    def layer_names(self) -> tuple[str, ...]:
        """Return connector, encoder and the decoder at four depths."""
        return ("connector", "encoder", *DECODER_DEPTHS)

    def encoder_features(self, inputs: Inputs) -> torch.Tensor:
        """Return the tower's patches, (images, patches, d)."""
        return selected_tower_features(self.model.config, self.image_features(inputs))

    def decoder_hidden_states(self, inputs: Inputs) -> Sequence[torch.Tensor]:
        """Return the hidden states of one forward pass without a cache."""
        states: Sequence[torch.Tensor] = self.model.model.language_model(
            inputs_embeds=self.inputs_embeds(inputs),
            attention_mask=inputs["attention_mask"],
            position_ids=self.position_ids(inputs),
            use_cache=False,
            output_hidden_states=True,
        ).hidden_states
        return states

    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        """Return the patches' boxes, the same at every layer."""
        vision = self.model.config.vision_config
        return patch_boxes(self.processor.image_processor, size, getattr(vision, "image_size", None), vision.patch_size)
