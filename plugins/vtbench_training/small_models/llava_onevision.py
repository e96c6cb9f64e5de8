"""A small LLaVA-OneVision: LLaVA-NeXT's image and tile, seen by a SigLIP and read by a Qwen2."""

from __future__ import annotations

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

from vtbench_hf.processors import without_video
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

TILES = "anyres_max_9"


def build(sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """Return a random model and its processor."""
    tokenizer = bpe_tokenizer(image_token=IMAGE, video_token="<video>")
    side = sizes.image_size
    pixels = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side},
        image_grid_pinpoints=[[side, side]],
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
    )
    processor = without_video(LlavaOnevisionProcessor)(
        pixels,
        tokenizer,
        num_image_tokens=sizes.grid**2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=TILES,
        chat_template=chat_template(IMAGE),
    )
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**tower_sizes(sizes), vision_use_head=False),
        text_config=Qwen2Config(**decoder_sizes(sizes, len(tokenizer))),
        image_grid_pinpoints=[[side, side]],
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=TILES,
        tie_word_embeddings=True,
    )
    return seeded(lambda: LlavaOnevisionForConditionalGeneration(config), seed), processor


class LlavaOnevision(LlavaNext):
    """The tower's patches through the connector, as the whole image and as a tile with marks."""

    description = "LLaVA-OneVision: SigLIP on the image and its tile, two-layer MLP connector, Qwen2"

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens as its last layer leaves them, before the norm that the connector does not get."""
        seen = self.model.model.vision_tower(pixels["pixel_values"], output_hidden_states=True)
        tokens: Tensor = seen.hidden_states[-1]
        return tokens
