"""A small InternVL: ViT with scaled layers, pixel shuffle, two-layer MLP, Qwen2; the picture in one tile.

A token stands for 2 x 2 patches, folded into one.
"""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor
from transformers import (
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    Qwen2Config,
)

from vtbench_hf.processors import without_video
from vtbench_training.pupils.base import (
    CLIP_MEAN,
    CLIP_STD,
    TEMPLATE,
    Pixels,
    Pupil,
    built,
    decoder_sizes,
    fast_tokenizer,
    tower_sizes,
)
from vtbench_training.recipe import Sizes
from vtbench_training.wording import LLAVA_TURNS

FOLD = 2
START, END, IMAGE = "<img>", "</img>", "<IMG_CONTEXT>"


class InternVL(Pupil):
    """Folded patches in the decoder's sequence."""

    about = "InternVL: ViT, 2 x 2 patches folded into a token, two-layer MLP connector, Qwen2"
    sees = ("model.vision_tower",)
    wording = LLAVA_TURNS

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        picture = START + IMAGE * (sizes.grid // FOLD) ** 2 + END
        self.head = self.tokenizer.encode(f"<s>USER: {picture}").ids

    @classmethod
    def build(cls, sizes: Sizes, seed: int) -> Self:
        """Return an untrained one."""
        tokenizer = fast_tokenizer(
            start_image_token=START, end_image_token=END, context_image_token=IMAGE, video_token="<video>"
        )
        pixels = GotOcr2ImageProcessorPil(
            size={"height": sizes.image_size, "width": sizes.image_size},
            crop_to_patches=False,
            image_mean=CLIP_MEAN,
            image_std=CLIP_STD,
        )
        count = (sizes.grid // FOLD) ** 2
        processor = without_video(InternVLProcessor)(
            pixels, tokenizer, image_seq_length=count, chat_template=TEMPLATE.replace("PICTURE", IMAGE)
        )
        config = InternVLConfig(
            vision_config=InternVLVisionConfig(**tower_sizes(sizes)),
            text_config=Qwen2Config(**decoder_sizes(sizes, len(tokenizer))),
            image_token_id=tokenizer.context_image_token_id,
            image_seq_length=count,
            downsample_ratio=1 / FOLD,
            tie_word_embeddings=True,
        )
        return cls(built(lambda: InternVLForConditionalGeneration(config), seed), processor, sizes)

    def visual(self, pixels: Pixels) -> Tensor:
        """Return the folded patches through the connector."""
        rows = self.patches(pixels).unflatten(1, (self.sizes.grid, self.sizes.grid))
        folded = self.model.model.pixel_shuffle(rows, scale_factor=1 / FOLD)
        tokens: Tensor = self.model.model.multi_modal_projector(folded.flatten(1, 2))
        return tokens
