"""A small Idefics, an open Flamingo: CLIP-like ViT, perceiver resampler, gated cross-attention in a LLaMA.

Nothing of the picture stands in the decoder's sequence: the head is text alone, and every token may look at the
resampler's queries.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from transformers import IdeficsConfig, IdeficsForVisionText2Text, IdeficsImageProcessorPil, IdeficsProcessor

from vtbench_training.pupils.base import Pixels, Pupil, built, fast_tokenizer, special_ids
from vtbench_training.recipe import QuerySizes, Sizes
from vtbench_training.wording import Wording

FAKE, IMAGE = "<fake_token_around_image>", "<image>"


class Flamingo(Pupil):
    """Queries that the decoder looks at from layers of their own."""

    about = "Idefics, an open Flamingo: CLIP-like ViT, perceiver resampler, LLaMA with gated cross-attention"
    sees = ("model.vision_model",)
    wording = Wording(before_answer=" ")

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self._placeholder: int = processor.tokenizer.convert_tokens_to_ids(IMAGE)
        self.head = self.tokenizer.encode(f"<s>{FAKE}{IMAGE}{FAKE}").ids

    @classmethod
    def build(cls, sizes: QuerySizes, seed: int) -> Self:
        """Return an untrained one."""
        tokenizer = fast_tokenizer(FAKE, image_token=IMAGE)
        processor = IdeficsProcessor(IdeficsImageProcessorPil(image_size=sizes.image_size), tokenizer)
        config = IdeficsConfig(
            vocab_size=len(tokenizer),
            hidden_size=sizes.hidden,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.intermediate,
            cross_layer_interval=2,
            alpha_initializer="ones",  # closed gates would keep the picture out until something opened them
            alpha_type="vector",
            freeze_text_layers=False,
            freeze_vision_layers=False,
            tie_word_embeddings=True,
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
        return cls(built(lambda: IdeficsForVisionText2Text(config), seed), processor, sizes)

    def patches(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens, without the one of its class."""
        pictures = pixels["pixel_values"].flatten(0, 1)
        tokens: Tensor = self.model.model.vision_model(pictures).last_hidden_state[:, 1:]
        return tokens

    def pixels(self, pictures: Tensor) -> Pixels:
        """Return the pictures, one to a text."""
        return {"pixel_values": super().pixels(pictures)["pixel_values"][:, None]}

    def states(self, ids: Tensor, mask: Tensor, positions: Tensor, pixels: Pixels) -> tuple[Tensor, ...]:
        """Return the decoder's states; the pictures come in from the side."""
        since_picture = torch.arange(ids.shape[1], device=ids.device) >= self.head.index(self._placeholder)
        out = self.model.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            image_attention_mask=since_picture.long().expand(len(ids), -1)[..., None],
            use_cache=False,
            output_hidden_states=True,
            **pixels,
        )
        return (*out.hidden_states[:-1], out.last_hidden_state)
