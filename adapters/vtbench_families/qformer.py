"""BLIP-2: the projected queries (32) of a Q-Former come before the prompt of a language model.

The projected queries are the `connector` layer. Each query attends to the whole image, so neither they nor the decoder
layers have boxes; `attention_map` shows where a query attends. The `encoder` layer is the tower's class token and
patches. With T5 as the language model the decoder layers are those of its encoder, which reads the visual tokens, and
there are no token budgets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_families.base import Family
from vtbench_families.query_attention import attention_map
from vtbench_hf.adapter import Inputs
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.prompts import prompt_images
from vtbench_hf.token_boxes import patch_boxes, with_class_token
from vtbench_hf.visual_features import image_features


class QFormer(Family):
    """EVA-like tower, Q-Former, linear projection, a frozen language model."""

    def __new__(cls, loaded: LoadedModel, image_size: int | None = None) -> QFormer:
        """Return the subclass for the kind of language model."""
        return super().__new__(
            QFormerSeq2Seq if loaded.model.config.get_text_config().is_encoder_decoder else QFormerCausalLM
        )

    def attention_map(self, samples: Sequence[Sample]) -> torch.Tensor:
        """Return the share of each query's attention on each `encoder` token: (images, queries, tokens)."""
        blocks = self.model.qformer.encoder.layer
        attentions = [block.crossattention.attention for block in blocks if block.has_cross_attention]
        layers = [(a.query, a.key, a.num_attention_heads) for a in attentions]
        with self.batch(samples):
            inputs = self.batch_inputs(samples)
            count = self.encoder_features(inputs).shape[1]
            return attention_map(lambda: image_features(self.model, inputs), layers, count)

    @override
    def model_parts(self) -> ModelParts:
        return {
            "vision": ("vision_model",),
            "connector": ("query_tokens", "qformer", "language_projection"),
            "text": ("language_model",),
        }

    @override
    def encoder_features(self, inputs: Inputs) -> torch.Tensor:
        states: torch.Tensor = self.image_features(inputs).last_hidden_state
        return states

    @override
    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        yield "image size", self.processor.image_processor.size["height"], self.image_size
        yield "num_query_tokens", self.processor.num_query_tokens, self.model.config.num_query_tokens

    @override
    def call_processor(self, samples: Sequence[Sample]) -> Any:
        if any(len(prompt_images(sample)) != 1 for sample in samples):
            raise SampleError("BLIP-2 takes exactly one image per question")
        return super().call_processor(samples)

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        if layer != "encoder":
            return None
        patch = self.model.config.vision_config.patch_size
        patches = patch_boxes(self.processor.image_processor, size, self.image_size, patch)
        return None if patches is None else with_class_token(patches)


class QFormerCausalLM(QFormer, MergedAdapter):
    """With a causal decoder, as OPT."""

    @override
    def language_model(self) -> Any:
        return self.model.language_model  # the whole model takes no `inputs_embeds` without an image


class QFormerSeq2Seq(QFormer):
    """With an encoder-decoder, as T5: its encoder reads the queries; no token budgets."""

    def __init__(self, loaded: LoadedModel, image_size: int | None = None) -> None:
        super().__init__(loaded, image_size)
        # The processor puts the queries before the padding, and T5 has relative positions.
        self.tokenizer.padding_side = "right"
