"""BLIP-2: a Q-Former's 32 or so queries, projected, stand before the prompt of a language model.

The projected queries are the `connector` layer; each has looked everywhere, so they have no boxes, nor have the decoder
layers. `attention_map` says where a query looks. The `encoder` layer is the tower's class token and patches. With T5 as
the language model the decoder layers are those of its encoder, which is what reads the visual tokens, and there are no
token budgets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_families.base import Family
from vtbench_families.boxes import with_class
from vtbench_families.looking import attention_map
from vtbench_hf.adapter import Inputs
from vtbench_hf.loading import Loaded
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.parts import Parts
from vtbench_hf.visual import image_features
from vtbench_llava.pixels import patch_boxes


class QFormer(Family):
    """EVA-like tower, Q-Former, linear projection, a language model that was trained without pictures."""

    def __new__(cls, loaded: Loaded, image_size: int | None = None) -> QFormer:
        """Give the class that fits the language model."""
        return super().__new__(ToEncoder if loaded.model.config.get_text_config().is_encoder_decoder else ToDecoder)

    def attention_map(self, samples: Sequence[Sample]) -> torch.Tensor:
        """Return the share of each query's attention on each `encoder` token: (pictures, queries, tokens)."""
        blocks = self.model.qformer.encoder.layer
        reads = [block.crossattention.attention for block in blocks if block.has_cross_attention]
        layers = [(read.query, read.key, read.num_attention_heads) for read in reads]
        with self._batch(samples):
            inputs = self._shared_inputs(samples)
            count = self._encoder(inputs).shape[1]
            return attention_map(lambda: image_features(self.model, inputs), layers, count)

    def _parts(self) -> Parts:
        return {
            "vision": ("vision_model",),
            "connector": ("query_tokens", "qformer", "language_projection"),
            "text": ("language_model",),
        }

    def _encoder(self, inputs: Inputs) -> torch.Tensor:
        states: torch.Tensor = self._features(inputs).last_hidden_state
        return states

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        yield "pictures of side", self.processor.image_processor.size["height"], self.image_size
        yield "so many queries:", self.processor.num_query_tokens, self.model.config.num_query_tokens

    def _process(self, samples: Sequence[Sample]) -> Any:
        if any(len(sample.images) != 1 for sample in samples):
            raise SampleError("BLIP-2 takes one picture a question, no more and no less")
        return super()._process(samples)

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        if layer != "encoder":
            return None
        patch = self.model.config.vision_config.patch_size
        patches = patch_boxes(self.processor.image_processor, size, self.image_size, patch)
        return None if patches is None else with_class(patches)


class ToDecoder(QFormer, MergedAdapter):
    """The queries before the prompt of a causal decoder, as OPT."""

    def _reader(self) -> Any:
        return self.model.language_model  # the whole model reads no embeddings without a picture


class ToEncoder(QFormer):
    """The queries before what the encoder of an encoder and a decoder reads, as T5's; no token budgets."""

    def __init__(self, loaded: Loaded, image_size: int | None = None) -> None:
        super().__init__(loaded, image_size)
        # The processor puts the queries before the padding, and T5 counts how far apart tokens are.
        self.tokenizer.padding_side = "right"
