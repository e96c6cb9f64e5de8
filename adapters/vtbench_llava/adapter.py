"""The LLaVA adapter: samples in, outputs and visual tokens at encoder, connector and decoder layers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature

from vtbench.types import Sample
from vtbench_hf.adapter import Inputs
from vtbench_hf.loading import Loaded
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import TOWER_AND_PROJECTOR, Parts
from vtbench_hf.prompting import adds_special_tokens, prompt_text
from vtbench_hf.visual import QUARTERS, tower_rows
from vtbench_llava.pixels import PixelTable, patch_boxes


class LlavaAdapter(MergedAdapter):
    """CLIP-like tower, MLP connector, causal decoder; pictures of the model's own size skip the processor."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        self._pixels = PixelTable.of(self.processor.image_processor, self.image_size)

    def _process(self, samples: Sequence[Sample]) -> Any:
        pictures = [image for sample in samples for image in sample.images]
        one_each = len(pictures) == len(samples)
        count = getattr(self.model.config, "image_seq_length", None)
        if self._pixels is None or not one_each or not count or not all(map(self._pixels.takes, pictures)):
            return super()._process(samples)
        token = self.processor.image_token
        texts = [prompt_text(self.processor, sample) for sample in samples]
        batch = self.tokenizer(
            [text.replace(token, token * count) for text in texts],
            padding=True,
            return_tensors="pt",
            add_special_tokens=adds_special_tokens(self.tokenizer, texts[0]),
        )
        text = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        return BatchFeature({**text, "pixel_values": torch.from_numpy(self._pixels(pictures))})

    def _parts(self) -> Parts:
        return TOWER_AND_PROJECTOR

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder", *QUARTERS)

    def _encoder(self, inputs: Inputs) -> torch.Tensor:
        return tower_rows(self.model.config, self._features(inputs))

    def _decoder_states(self, inputs: Inputs) -> Sequence[torch.Tensor]:
        states: Sequence[torch.Tensor] = self.model.model.language_model(
            inputs_embeds=self._embeddings(inputs),
            attention_mask=inputs["attention_mask"],
            position_ids=self._positions(inputs),
            use_cache=False,
            output_hidden_states=True,
        ).hidden_states
        return states

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        vision = self.model.config.vision_config
        return patch_boxes(self.processor.image_processor, size, getattr(vision, "image_size", None), vision.patch_size)
