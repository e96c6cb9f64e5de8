"""The LLaVA adapter: samples in, outputs and visual tokens at encoder, connector and decoder layers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vtbench.types import Sample
from vtbench_hf.adapter import Inputs
from vtbench_hf.loading import Loaded
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.prompting import adds_special_tokens, prompt_text
from vtbench_hf.visual import by_sample, connector_rows
from vtbench_llava.pixels import PixelTable, patch_boxes

QUARTERS: Mapping[str, float] = {"decoder_25": 0.25, "decoder_50": 0.5, "decoder_75": 0.75, "decoder_100": 1.0}
"""Decoder layers by name, as the share of its depth."""


class LlavaAdapter(MergedAdapter):
    """CLIP-like tower, MLP connector, causal decoder; pictures of the model's own size skip the processor."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        self._pixels = PixelTable.of(self.processor.image_processor, self.image_size)

    def _inputs(self, samples: Sequence[Sample]) -> Inputs:
        pictures = [image for sample in samples for image in sample.images]
        one_each = len(pictures) == len(samples)
        count = getattr(self.model.config, "image_seq_length", None)
        if self._pixels is None or not one_each or not count or not all(map(self._pixels.takes, pictures)):
            return super()._inputs(samples)
        token = self.processor.image_token
        texts = [prompt_text(self.processor, sample) for sample in samples]
        batch = self.tokenizer(
            [text.replace(token, token * count) for text in texts],
            padding=True,
            return_tensors="pt",
            add_special_tokens=adds_special_tokens(self.tokenizer, texts[0]),
        )
        device = self.model.device
        return {
            "input_ids": batch["input_ids"].to(device),
            "attention_mask": batch["attention_mask"].to(device),
            "pixel_values": torch.from_numpy(self._pixels(pictures)).to(device, self.model.dtype),
        }

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder", *QUARTERS)

    def _layer(self, name: str, inputs: Inputs, samples: Sequence[Sample]) -> torch.Tensor:
        if name == "encoder":
            return by_sample(self._encoder_rows(self._features(inputs)), len(samples))
        if name in QUARTERS:
            states = self._memo.part("decoder", lambda: self._decoder_states(inputs))
            depth = len(states) - 1
            return by_sample(states[max(1, round(QUARTERS[name] * depth))], len(samples))
        return by_sample(connector_rows(self._features(inputs)), len(samples))

    def _encoder_rows(self, features: Any) -> torch.Tensor:
        """Return what the connector reads: the tower at the feature layer, without CLS where LLaVA drops it."""
        config = self.model.config
        layer = config.vision_feature_layer
        chosen = [layer] if isinstance(layer, int) else layer
        first = 1 if config.vision_feature_select_strategy == "default" else 0
        return torch.cat([features.hidden_states[index][:, first:] for index in chosen], -1)

    def _decoder_states(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the decoder's states at the visual tokens, (n * N, d) for each layer, the embeddings first."""
        states = self.model.model.language_model(
            inputs_embeds=self._embeddings(inputs),
            attention_mask=inputs["attention_mask"],
            position_ids=self._positions(inputs),
            use_cache=False,
            output_hidden_states=True,
        ).hidden_states
        place_BP = self._places(inputs)
        return [state_BPD[place_BP] for state_BPD in states]

    def _boxes(self, samples: Sequence[Sample]) -> np.ndarray | None:
        sizes = {image.size for sample in samples for image in sample.images}
        vision = self.model.config.vision_config
        if len(sizes) != 1 or any(len(sample.images) != 1 for sample in samples):
            return None
        return patch_boxes(
            self.processor.image_processor, sizes.pop(), getattr(vision, "image_size", None), vision.patch_size
        )
