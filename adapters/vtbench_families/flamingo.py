"""Idefics, an open Flamingo: a picture's 64 or so resampler queries feed gated cross-attention layers.

The queries at the resampler's output are the `connector` layer. They never stand in the decoder's sequence, so there is
no decoder layer to take visual tokens at; and each looks everywhere, so they have no boxes. `attention_map` says where
a query looks. A checkpoint without a resampler feeds the tower's patches to the cross-attention, and these have boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from vtbench.errors import AdapterError
from vtbench.types import Sample
from vtbench_families.base import Family
from vtbench_families.boxes import with_class
from vtbench_families.looking import attention_map
from vtbench_hf.adapter import Inputs
from vtbench_hf.parts import Parts
from vtbench_hf.prompting import prompt_text
from vtbench_llava.pixels import patch_boxes

_PLACEHOLDER = re.compile(r"(?:<fake_token_around_image>)*<image>(?:<fake_token_around_image>)*")


class Flamingo(Family):
    """CLIP-like tower, perceiver resampler, decoder with gated cross-attention between its layers."""

    def attention_map(self, samples: Sequence[Sample]) -> torch.Tensor:
        """Return the share of each query's attention on each `encoder` token: (pictures, queries, tokens).

        Raises:
            AdapterError: the checkpoint has no resampler.
        """
        if not self.model.config.use_resampler:
            raise AdapterError(f"{self._loaded.checkpoint} has no resampler: its tokens have boxes")
        resampler = self.model.model.perceiver_resampler
        reads = [read for read, _ in resampler.blocks]
        names = ("q_layer_norm", "k_layer_norm") if resampler.qk_layer_norms else ("q_proj", "k_proj")
        layers = [(getattr(read, names[0]), getattr(read, names[1]), read.n_heads) for read in reads]
        with self._batch(samples):
            seen = self._encoder(self._shared_inputs(samples))
            return attention_map(lambda: resampler(seen), layers, seen.shape[1])

    def _parts(self) -> Parts:
        """Return them; all that a Flamingo puts around its language model is connector, the cross-attention too."""
        resampler = ("model.perceiver_resampler",) if self.model.config.use_resampler else ()
        return {
            "vision": ("model.vision_model",),
            "connector": (*resampler, "model.gated_cross_attn_layers"),
            "text": ("model.embed_tokens", "model.layers", "model.norm", "lm_head"),
        }

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        yield "pictures of side", self.processor.image_processor.image_size, self.image_size

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder")

    def _process(self, samples: Sequence[Sample]) -> Any:
        return self.processor(text=[self._prompt(sample) for sample in samples], padding=True, return_tensors="pt")

    def _prompt(self, sample: Sample) -> list[Any]:
        """Return text and pictures in the order that the model reads them; the processor writes the first token."""
        if not self.processor.chat_template:
            return [*sample.images, sample.prompt]
        text = prompt_text(self.processor, sample).removeprefix(self.tokenizer.bos_token or "")
        parts = [part for pair in zip_longest(_PLACEHOLDER.split(text), sample.images) for part in pair]
        return [part for part in parts if part is not None and part != ""]

    def _encoder(self, inputs: Inputs) -> torch.Tensor:
        def see() -> torch.Tensor:
            states: torch.Tensor = self.model.model.vision_model(inputs["pixel_values"].flatten(0, 1)).last_hidden_state
            return states

        return self._memo.part("encoder", see)

    def _connector(self, inputs: Inputs) -> torch.Tensor:
        seen = self._encoder(inputs)
        return self.model.model.perceiver_resampler(seen) if self.model.config.use_resampler else seen

    def _visual_lengths(self, inputs: Inputs) -> list[int]:
        config, (count, pictures) = self.model.config, inputs["pixel_values"].shape[:2]
        patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
        each = config.perceiver_config.resampler_n_latents if config.use_resampler else 1 + patches
        return [pictures * each] * count

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        if layer == "connector" and self.model.config.use_resampler:
            return None
        patch = self.model.config.vision_config.patch_size
        patches = patch_boxes(self.processor.image_processor, size, self.image_size, patch)
        return None if patches is None else with_class(patches)
