"""A small LLaVA-OneVision: LLaVA-NeXT's image and tile, with SigLIP and Qwen2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    LlavaOnevisionProcessor,
    Qwen2Config,
    SiglipVisionConfig,
)

from vtbench_hf.checkpoint.processor import without_video
from vtbench_training.small_models.base import Pixels
from vtbench_training.small_models.components import (
    CLIP_MEAN,
    CLIP_STD,
    chat_template,
    decoder_sizes,
    seeded,
    tower_sizes,
)
from vtbench_training.small_models.llava_next import IMAGE, LlavaNext
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer


def build(
    sizes: Sizes,
    seed: int = 0,
    tied: bool = True,
    templated: bool = True,
    resolutions: Sequence[tuple[int, int]] = (),
    max_tiles: int = 9,
) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        templated: whether the processor has a chat template.
        resolutions: (height, width) in pixels to which an image may be resized before it is cut into tiles of
            `sizes.image_size`; by default the image is one tile.
        max_tiles: rows of patches are averaged where an image has more tiles.
    """
    tokenizer = bpe_tokenizer(image_token=IMAGE, video_token="<video>")
    side, tiles = sizes.image_size, f"anyres_max_{max_tiles}"
    pinpoints = [list(resolution) for resolution in resolutions] or [[side, side]]
    pixels = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side},
        image_grid_pinpoints=pinpoints,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
    )
    processor = without_video(LlavaOnevisionProcessor)(
        pixels,
        tokenizer,
        num_image_tokens=sizes.grid**2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=tiles,
        chat_template=chat_template(IMAGE) if templated else None,
    )
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**tower_sizes(sizes), vision_use_head=False),
        text_config=Qwen2Config(**decoder_sizes(sizes, len(tokenizer), tied)),
        image_grid_pinpoints=pinpoints,
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=tiles,
        tie_word_embeddings=tied,
    )
    return seeded(lambda: LlavaOnevisionForConditionalGeneration(config), seed), processor


class LlavaOnevision(LlavaNext):
    """The tower's patches through the connector, as the whole image and as a tile with newline tokens."""

    description = "LLaVA-OneVision: SigLIP on the image and its tile, two-layer MLP connector, Qwen2"

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the output of the tower's last layer before the final norm, which the connector does not get."""
        seen = self.model.model.vision_tower(pixels["pixel_values"], output_hidden_states=True)
        tokens: Tensor = seen.hidden_states[-1]
        return tokens
