"""A small InternVL: ViT with scaled layers, pixel shuffle, two-layer MLP, Qwen2; the image in one tile.

A token stands for 2 x 2 patches, folded into one.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import (
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    Qwen2Config,
)

from vtbench_hf.checkpoint.processor import without_video
from vtbench_training.small_models.base import Pixels, SmallVLM
from vtbench_training.small_models.components import (
    CLIP_MEAN,
    CLIP_STD,
    chat_template,
    decoder_sizes,
    seeded,
    tower_sizes,
)
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer

FOLD = 2
START, END, IMAGE = "<img>", "</img>", "<IMG_CONTEXT>"


def build(
    sizes: Sizes, seed: int = 0, tied: bool = True, templated: bool = True, max_tiles: int = 12
) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        templated: whether the processor has a chat template.
        max_tiles: most tiles of `sizes.image_size` that the processor cuts an image into, where it is asked to.
    """
    tokenizer = bpe_tokenizer(
        start_image_token=START, end_image_token=END, context_image_token=IMAGE, video_token="<video>"
    )
    pixels = GotOcr2ImageProcessorPil(
        size={"height": sizes.image_size, "width": sizes.image_size},
        crop_to_patches=False,
        max_patches=max_tiles,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
    )
    count = (sizes.grid // FOLD) ** 2
    processor = without_video(InternVLProcessor)(
        pixels, tokenizer, image_seq_length=count, chat_template=chat_template(IMAGE) if templated else None
    )
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**tower_sizes(sizes)),
        text_config=Qwen2Config(**decoder_sizes(sizes, len(tokenizer), tied)),
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=count,
        downsample_ratio=1 / FOLD,
        tie_word_embeddings=tied,
    )
    return seeded(lambda: InternVLForConditionalGeneration(config), seed), processor


class InternVL(SmallVLM):
    """Folded patches in the decoder's sequence."""

    description = "InternVL: ViT, 2 x 2 patches folded into a token, two-layer MLP connector, Qwen2"

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        image = START + IMAGE * (sizes.grid // FOLD) ** 2 + END
        self.prefix_ids = self.tokenizer.encode(f"<s>USER: {image}").ids

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the folded patches through the connector."""
        rows = self.patch_features(pixels).unflatten(1, (self.sizes.grid, self.sizes.grid))
        folded = self.model.model.pixel_shuffle(rows, scale_factor=1 / FOLD)
        tokens: Tensor = self.model.model.multi_modal_projector(folded.flatten(1, 2))
        return tokens
