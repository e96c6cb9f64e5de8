"""A small Fuyu: no vision tower, a linear layer projects raw patches; the vision stages train the decoder.

The image comes first, with a newline token after each row of patches, then the text; a token of its own begins the
answer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import FuyuConfig, FuyuForCausalLM, FuyuImageProcessorPil, FuyuProcessor, PersimmonConfig

from vtbench_training.small_models.base import Pixels, PromptFormat, SmallVLM, normalise
from vtbench_training.small_models.components import decoder_sizes, seeded, special_ids
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import unigram_tokenizer

PATCH, NEWLINE, ANSWER = "|SPEAKER|", "|NEWLINE|", "<0x04>"
MEAN = (0.5, 0.5, 0.5)


def build(sizes: Sizes, seed: int = 0, tied: bool = True, canvas: int | None = None) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        canvas: side in pixels of the largest image that the processor takes; `sizes.image_size` by default.
    """
    tokenizer = unigram_tokenizer(PATCH, NEWLINE)
    patch = {"height": sizes.patch_size, "width": sizes.patch_size}
    side = canvas or sizes.image_size
    pixels = FuyuImageProcessorPil(size={"height": side, "width": side}, patch_size=patch, padding_value=0.0)
    known = decoder_sizes(sizes, len(tokenizer), tied)
    known.pop("num_key_value_heads")
    config = FuyuConfig(
        text_config=PersimmonConfig(**known, partial_rotary_factor=0.5).to_dict(),
        image_size=sizes.image_size,
        patch_size=sizes.patch_size,
        image_token_id=tokenizer.convert_tokens_to_ids(PATCH),
        tie_word_embeddings=tied,
        **special_ids(),
    )
    return seeded(lambda: FuyuForCausalLM(config), seed), FuyuProcessor(pixels, tokenizer)


class Fuyu(SmallVLM):
    """Raw patches in the decoder's sequence; patch features are the states of its middle layer."""

    description = "Fuyu: raw patches through one linear layer into a Persimmon decoder; no vision tower"
    vision_modules = ("model",)
    prompt_format = PromptFormat("", ANSWER, "")

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        row = [model.config.image_token_id] * sizes.grid + [self.tokenizer.token_to_id(NEWLINE)]
        self.prefix_ids = [*row * sizes.grid, processor.tokenizer.bos_token_id]

    @property
    def patch_width(self) -> int:
        """Width of the decoder."""
        return self.sizes.hidden

    def pixel_inputs(self, images: Tensor) -> Pixels:
        """Return the patches row by row, each as its flattened pixels, channels last."""
        values = normalise(images, MEAN, MEAN)
        grid, patch = self.sizes.grid, self.sizes.patch_size
        tiles = values.view(len(values), 3, grid, patch, grid, patch).permute(0, 2, 4, 3, 5, 1)
        return {"pixel_values": tiles.reshape(len(values), grid * grid, -1)}

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the patches' states in the decoder's middle layer, under causal attention."""
        count = len(pixels["pixel_values"])
        ids = torch.tensor(self.prefix_ids, device=pixels["pixel_values"].device).expand(count, -1)
        length = ids.shape[1]
        hidden = torch.full((length, length), torch.finfo(torch.float32).min, device=ids.device).triu(1)
        positions = torch.arange(length, device=ids.device).expand(count, -1)
        states = self.hidden_states(ids, hidden.expand(count, 1, -1, -1), positions, pixels)[self.sizes.layers // 2]
        return states[self.is_placeholder(ids)].view(count, -1, states.shape[-1])

    def train_vision(self, enabled: bool) -> None:
        """Do nothing: vision and language share all modules."""

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the projected patches."""
        tokens: Tensor = self.model.model.vision_embed_tokens(pixels["pixel_values"])
        return tokens
