"""A small Idefics, an open Flamingo: CLIP-like ViT, perceiver resampler, gated cross-attention in a LLaMA.

The decoder's sequence holds no visual token: the prefix is text alone, and every token attends to the resampler's
queries.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import IdeficsConfig, IdeficsForVisionText2Text, IdeficsImageProcessorPil, IdeficsProcessor

from vtbench_training.small_models.base import Pixels, PromptFormat, SmallVLM
from vtbench_training.small_models.components import seeded, special_ids
from vtbench_training.small_models.sizes import QuerySizes, Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

FAKE, IMAGE = "<fake_token_around_image>", "<image>"


def build(sizes: QuerySizes, seed: int = 0, tied: bool = True) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
    """
    tokenizer = bpe_tokenizer(FAKE, image_token=IMAGE)
    processor = IdeficsProcessor(IdeficsImageProcessorPil(image_size=sizes.image_size), tokenizer)
    config = IdeficsConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        cross_layer_interval=2,
        alpha_initializer="ones",  # closed gates would keep the image out
        alpha_type="vector",
        freeze_text_layers=False,
        freeze_vision_layers=False,
        tie_word_embeddings=tied,
        use_resampler=True,
        vision_config={
            "embed_dim": sizes.vision_hidden,
            "image_size": sizes.image_size,
            "patch_size": sizes.patch_size,
            "intermediate_size": 4 * sizes.vision_hidden,
            "num_hidden_layers": sizes.vision_layers,
            "num_attention_heads": sizes.vision_heads,
            "hidden_act": "quick_gelu",
        },
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": sizes.queries,
            "resampler_depth": sizes.connector_layers,
            "resampler_n_heads": sizes.vision_heads,
            "resampler_head_dim": sizes.vision_hidden // sizes.vision_heads,
        },
        **special_ids(),
    )
    return seeded(lambda: IdeficsForVisionText2Text(config), seed), processor


class Flamingo(SmallVLM):
    """Queries to which the decoder attends in layers of their own."""

    description = "Idefics, an open Flamingo: CLIP-like ViT, perceiver resampler, LLaMA with gated cross-attention"
    vision_modules = ("model.vision_model",)
    prompt_format = PromptFormat(before_answer=" ")

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self._placeholder: int = processor.tokenizer.convert_tokens_to_ids(IMAGE)
        self.prefix_ids = self.tokenizer.encode(f"<s>{FAKE}{IMAGE}{FAKE}").ids

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's last hidden state without the class token."""
        images = pixels["pixel_values"].flatten(0, 1)
        tokens: Tensor = self.model.model.vision_model(images).last_hidden_state[:, 1:]
        return tokens

    def pixel_inputs(self, images: Tensor) -> Pixels:
        """Return the images, one for each text."""
        return {"pixel_values": super().pixel_inputs(images)["pixel_values"][:, None]}

    def hidden_states(self, ids: Tensor, mask: Tensor, positions: Tensor, pixels: Pixels) -> tuple[Tensor, ...]:
        """Return the decoder's hidden states; images enter through cross-attention."""
        since_image = torch.arange(ids.shape[1], device=ids.device) >= self.prefix_ids.index(self._placeholder)
        out = self.model.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            image_attention_mask=since_image.long().expand(len(ids), -1)[..., None],
            use_cache=False,
            output_hidden_states=True,
            **pixels,
        )
        return (*out.hidden_states[:-1], out.last_hidden_state)
