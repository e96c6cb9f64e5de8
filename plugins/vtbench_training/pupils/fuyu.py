"""A small Fuyu: no tower, a linear layer makes a token of each raw patch; the decoder learns to see, too.

The picture comes first, a mark after each row of patches, then the text; the answer begins after a mark of its own.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from transformers import FuyuConfig, FuyuForCausalLM, FuyuImageProcessorPil, FuyuProcessor, PersimmonConfig

from vtbench_training.pieces import piece_tokenizer
from vtbench_training.pupils.base import Pixels, Pupil, built, decoder_sizes, normalise, special_ids
from vtbench_training.recipe import Sizes
from vtbench_training.wording import Wording

PATCH, NEWLINE, ANSWER = "|SPEAKER|", "|NEWLINE|", "<0x04>"
MEAN = (0.5, 0.5, 0.5)


class Fuyu(Pupil):
    """Raw patches in the decoder's sequence; what is seen is read from its middle."""

    about = "Fuyu: raw patches through one linear layer into a Persimmon decoder; no vision tower"
    sees = ("model",)
    wording = Wording("", ANSWER, "")

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        row = [model.config.image_token_id] * sizes.grid + [self.tokenizer.token_to_id(NEWLINE)]
        self.head = [*row * sizes.grid, processor.tokenizer.bos_token_id]

    @classmethod
    def build(cls, sizes: Sizes, seed: int) -> Self:
        """Return an untrained one."""
        tokenizer = piece_tokenizer(PATCH, NEWLINE)
        patch = {"height": sizes.patch_size, "width": sizes.patch_size}
        canvas = {"height": sizes.image_size, "width": sizes.image_size}
        pixels = FuyuImageProcessorPil(size=canvas, patch_size=patch, padding_value=0.0)
        known = decoder_sizes(sizes, len(tokenizer))
        known.pop("num_key_value_heads")
        config = FuyuConfig(
            text_config=PersimmonConfig(**known, partial_rotary_factor=0.5).to_dict(),
            image_size=sizes.image_size,
            patch_size=sizes.patch_size,
            image_token_id=tokenizer.convert_tokens_to_ids(PATCH),
            tie_word_embeddings=True,
            **special_ids(),
        )
        return cls(built(lambda: FuyuForCausalLM(config), seed), FuyuProcessor(pixels, tokenizer), sizes)

    @property
    def patch_width(self) -> int:
        """That of the decoder."""
        return self.sizes.hidden

    def pixels(self, pictures: Tensor) -> Pixels:
        """Return the patches row by row, each as its pixels, channels last."""
        values = normalise(pictures, MEAN, MEAN)
        grid, patch = self.sizes.grid, self.sizes.patch_size
        tiles = values.view(len(values), 3, grid, patch, grid, patch).permute(0, 2, 4, 3, 5, 1)
        return {"pixel_values": tiles.reshape(len(values), grid * grid, -1)}

    def patches(self, pixels: Pixels) -> Tensor:
        """Return the states of the patches in the decoder's middle, of which each knows only those before it."""
        count = len(pixels["pixel_values"])
        ids = torch.tensor(self.head, device=pixels["pixel_values"].device).expand(count, -1)
        length = ids.shape[1]
        hidden = torch.full((length, length), torch.finfo(torch.float32).min, device=ids.device).triu(1)
        positions = torch.arange(length, device=ids.device).expand(count, -1)
        states = self.states(ids, hidden.expand(count, 1, -1, -1), positions, pixels)[self.sizes.layers // 2]
        return states[self.is_visual(ids)].view(count, -1, states.shape[-1])

    def seeing(self, learns: bool) -> None:
        """Leave everything learning: what sees and what answers is one."""

    def visual(self, pixels: Pixels) -> Tensor:
        """Return what the linear layer makes of the patches."""
        tokens: Tensor = self.model.model.vision_embed_tokens(pixels["pixel_values"])
        return tokens
