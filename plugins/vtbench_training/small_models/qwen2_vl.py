"""A small Qwen2-VL: ViT with rotary positions, 2 x 2 merger, a decoder with positions in three axes.

A token stands for 2 x 2 patches, which are neighbours in the tower's sequence.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import (
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen2VLTextConfig,
)

from vtbench_hf.checkpoint.processor import without_video
from vtbench_training.small_models.base import Pixels, PromptFormat, SmallVLM
from vtbench_training.small_models.components import chat_template, decoder_sizes, seeded
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

MERGE, FRAMES = 2, 2
START, END, PAD, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"


def build(sizes: Sizes, seed: int = 0, tied: bool = True, sides: tuple[int, int] | None = None) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        sides: least and largest side in pixels of the square with an image's area; `sizes.image_size` by default.
    """
    least, largest = sides or (sizes.image_size, sizes.image_size)
    processor = build_processor(sizes.patch_size, least**2, largest**2)
    tokenizer = processor.tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in (START, END, PAD, VIDEO)}
    half = sizes.hidden // sizes.heads // 2
    config = Qwen2VLConfig(
        vision_config={
            "depth": sizes.vision_layers,
            "embed_dim": sizes.vision_hidden,
            "hidden_size": sizes.hidden,
            "num_heads": sizes.vision_heads,
            "mlp_ratio": 4,
            "patch_size": sizes.patch_size,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": FRAMES,
        },
        text_config=Qwen2VLTextConfig(
            **decoder_sizes(sizes, len(tokenizer), tied),
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 1e4,
                # Of each head's frequencies a quarter tells time and the rest is shared by row and column.
                "mrope_section": [half // 4, (half - half // 4) // 2, half - half // 4 - (half - half // 4) // 2],
            },
        ).to_dict(),
        image_token_id=ids[PAD],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids[START],
        vision_end_token_id=ids[END],
        tie_word_embeddings=tied,
    )
    return seeded(lambda: Qwen2VLForConditionalGeneration(config), seed), processor


def build_processor(patch_size: int, least: int, most: int) -> Any:
    """Return the processor of a Qwen2-VL, with the benchmark's own tokenizer.

    Args:
        patch_size: side of a patch in pixels.
        least: number of pixels of the smallest image; a smaller one is enlarged.
        most: number of pixels of the largest image.
    """
    pixels = Qwen2VLImageProcessorPil(
        patch_size=patch_size,
        merge_size=MERGE,
        temporal_patch_size=FRAMES,
        size={"shortest_edge": least, "longest_edge": most},
    )
    tokenizer = bpe_tokenizer(START, END, image_token=PAD, video_token=VIDEO)
    return without_video(Qwen2VLProcessor)(pixels, tokenizer, chat_template=chat_template(START + PAD + END))


class Qwen2VL(SmallVLM):
    """Merged patches in the decoder's sequence, each with row and column in the image as its position."""

    description = "Qwen2-VL: ViT with rotary places, 2 x 2 merger, decoder with positions in three axes"
    vision_modules = ("model.visual.patch_embed", "model.visual.blocks")
    prompt_format = PromptFormat(f"{END}\n", " ASSISTANT:", " ")

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self._before = self.tokenizer.encode(f"<s>USER: {START}").ids
        self.prefix_ids = [*self._before, *[model.config.image_token_id] * (sizes.grid // MERGE) ** 2]

    @property
    def prefix_positions(self) -> Tensor:
        """Time, row and column: equal in text; the tokens of an image share their time."""
        start, side = len(self._before), self.sizes.grid // MERGE
        text = torch.arange(start).expand(3, -1)
        row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        image = torch.stack([torch.zeros(side * side, dtype=torch.long), row.flatten(), column.flatten()])
        return torch.cat([text, start + image], dim=1)

    def pixel_inputs(self, images: Tensor) -> Pixels:
        """Return the patches in the processor's order: the four of a token together, every image as two frames."""
        values = super().pixel_inputs(images)["pixel_values"]
        grid, patch = self.sizes.grid, self.sizes.patch_size
        tiles = values.view(len(values), 3, grid // MERGE, MERGE, patch, grid // MERGE, MERGE, patch)
        # (B, row, column, row in token, column in token, channel, y, x)
        laid = tiles.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(-1, 3, 1, patch, patch)
        sizes = torch.tensor([[1, grid, grid]], device=values.device).expand(len(values), -1)
        return {"pixel_values": laid.expand(-1, -1, FRAMES, -1, -1).flatten(1), "image_grid_thw": sizes}

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's last hidden state before the merger, row by row."""
        seen = self._tower(pixels).last_hidden_state
        side = self.sizes.grid // MERGE
        rows = seen.view(-1, side, side, MERGE, MERGE, seen.shape[-1]).transpose(2, 3)
        return rows.reshape(len(rows), self.sizes.grid**2, -1)

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the merged patches."""
        merged: Tensor = self._tower(pixels).pooler_output
        return merged.view(len(pixels["image_grid_thw"]), -1, merged.shape[-1])

    def _tower(self, pixels: Pixels) -> Any:
        return self.model.model.visual(pixels["pixel_values"], grid_thw=pixels["image_grid_thw"])
