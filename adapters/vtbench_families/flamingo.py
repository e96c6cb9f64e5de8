"""Idefics, an open Flamingo: the resampler's queries (64) of an image are read by gated cross-attention layers.

The resampler's output is the `connector` layer. The queries are never in the decoder's sequence, so there are no
decoder layers of visual tokens. Each query attends to the whole image, so they have no boxes; `attention_map` shows
where a query attends. In a checkpoint without a resampler the cross-attention reads the tower's patches, which have
boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from vtbench.errors import AdapterError
from vtbench.types import Sample
from vtbench_families.base import Family
from vtbench_families.query_attention import attention_map
from vtbench_hf.adapter import Inputs
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.prompts import prompt_images, prompt_parts
from vtbench_hf.token_boxes import patch_boxes, with_class_token

_PLACEHOLDER = re.compile(r"(?:<fake_token_around_image>)*<image>(?:<fake_token_around_image>)*")


class Flamingo(Family):
    """CLIP-like tower, perceiver resampler, decoder with gated cross-attention between its layers."""

    def attention_map(self, samples: Sequence[Sample]) -> torch.Tensor:
        """Return the share of each query's attention on each `encoder` token: (images, queries, tokens).

        Raises:
            AdapterError: the checkpoint has no resampler.
        """
        if not self.model.config.use_resampler:
            raise AdapterError(f"{self.loaded.checkpoint} has no resampler: its tokens have boxes")
        resampler = self.model.model.perceiver_resampler
        attentions = [attention for attention, _ in resampler.blocks]
        names = ("q_layer_norm", "k_layer_norm") if resampler.qk_layer_norms else ("q_proj", "k_proj")
        layers = [(getattr(a, names[0]), getattr(a, names[1]), a.n_heads) for a in attentions]
        with self.batch(samples):
            patches_BMd = self.encoder_features(self.batch_inputs(samples))
            return attention_map(lambda: resampler(patches_BMd), layers, patches_BMd.shape[1])

    @override
    def model_parts(self) -> ModelParts:
        """Return the parts; the cross-attention layers around the frozen language model belong to the connector."""
        resampler = ("model.perceiver_resampler",) if self.model.config.use_resampler else ()
        return {
            "vision": ("model.vision_model",),
            "connector": (*resampler, "model.gated_cross_attn_layers"),
            "text": ("model.embed_tokens", "model.layers", "model.norm", "lm_head"),
        }

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        yield "image size", self.processor.image_processor.image_size, self.image_size

    @override
    def takes_several_images(self) -> bool:
        """Return True: images stand among the texts, and a text attends to the one before it."""
        return True

    @override
    def rendered_prompt(self, sample: Sample) -> str:
        return "".join(part if isinstance(part, str) else "<image>" for part in self._prompt(sample))

    @override
    def layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder")

    @override
    def call_processor(self, samples: Sequence[Sample]) -> Any:
        return self.processor(text=[self._prompt(sample) for sample in samples], padding=True, return_tensors="pt")

    def _prompt(self, sample: Sample) -> list[Any]:
        """Return text and images in the order that the model reads them; the processor writes the first token."""
        if not self.processor.chat_template:
            return prompt_parts(self.processor, sample)
        text = self.prompt_text(sample).removeprefix(self.tokenizer.bos_token or "")
        parts = [part for pair in zip_longest(_PLACEHOLDER.split(text), prompt_images(sample)) for part in pair]
        return [part for part in parts if part is not None and part != ""]

    @override
    def encoder_features(self, inputs: Inputs) -> torch.Tensor:
        def compute() -> torch.Tensor:
            states: torch.Tensor = self.model.model.vision_model(inputs["pixel_values"].flatten(0, 1)).last_hidden_state
            return states

        return self.cache.get_or_compute("encoder", compute)

    @override
    def connector_features(self, inputs: Inputs) -> torch.Tensor:
        patches = self.encoder_features(inputs)
        return self.model.model.perceiver_resampler(patches) if self.model.config.use_resampler else patches

    @override
    def visual_token_counts(self, inputs: Inputs) -> list[int]:
        config, (count, images) = self.model.config, inputs["pixel_values"].shape[:2]
        patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
        each = config.perceiver_config.resampler_n_latents if config.use_resampler else 1 + patches
        return [images * each] * count

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        if layer == "connector" and self.model.config.use_resampler:
            return None
        patch = self.model.config.vision_config.patch_size
        patches = patch_boxes(self.processor.image_processor, size, self.image_size, patch)
        return None if patches is None else with_class_token(patches)
