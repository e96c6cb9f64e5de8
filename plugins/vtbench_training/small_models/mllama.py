"""A small Llama 3.2 Vision: two-stage ViT, linear projection, a LLaMA with layers that attend to the image alone.

Nothing of the image but one mark stands in the decoder's sequence, and every token from that mark on looks at the
projected patches. What the tower gives is the states of its first layer beside those of its last, as the published
model's does of several.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessorPil,
    MllamaProcessor,
    MllamaTextConfig,
    MllamaVisionConfig,
)

from vtbench_training.small_models.base import LLAVA_FORMAT, Pixels, SmallVLM
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

IMAGE = "<|image|>"


def build(sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """Return a random model and its processor."""
    tokenizer = bpe_tokenizer("<|python_tag|>", image_token=IMAGE)
    pixels = MllamaImageProcessorPil(
        size={"height": sizes.image_size, "width": sizes.image_size},
        max_image_tiles=1,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
    )
    processor = MllamaProcessor(pixels, tokenizer, chat_template=chat_template(IMAGE))
    text = decoder_sizes(sizes, len(tokenizer)) | {"tie_word_embeddings": False}  # its two tables differ in length
    config = MllamaConfig(
        vision_config=MllamaVisionConfig(
            **tower_sizes(sizes),
            num_global_layers=1,
            vision_output_dim=2 * sizes.vision_hidden,
            intermediate_layers_indices=[0],
            max_num_tiles=1,
            supported_aspect_ratios=[[1, 1]],
        ),
        text_config=MllamaTextConfig(**text, cross_attention_layers=list(range(1, sizes.layers, 2))),
        image_token_index=tokenizer.image_token_id,
        tie_word_embeddings=False,
    )
    return seeded(lambda: _opened(MllamaForConditionalGeneration(config)), seed), processor


class Mllama(SmallVLM):
    """Patches that the decoder looks at from every other of its layers."""

    description = (
        "Llama 3.2 Vision: two-stage ViT, linear projection, LLaMA in which every other layer is cross-attention"
    )
    vision_modules = ("model.vision_model",)
    prompt_format = LLAVA_FORMAT

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.prefix_ids = self.tokenizer.encode(f"<s>USER: {IMAGE}").ids

    @property
    def patch_width(self) -> int:
        """That of two layers' states side by side."""
        return 2 * self.sizes.vision_hidden

    def pixel_inputs(self, images: Tensor) -> Pixels:
        """Return the images, one to a text and one tile each, and that shape's number."""
        values = super().pixel_inputs(images)["pixel_values"][:, None, None]
        ones = torch.ones(len(values), 1, dtype=torch.long, device=values.device)
        return {"pixel_values": values, "aspect_ratio_ids": ones, "aspect_ratio_mask": ones[..., None]}

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens, without the one of its class."""
        tokens: Tensor = self.model.model.vision_model(**pixels).last_hidden_state[:, 0, 0, 1:]
        return tokens

    def hidden_states(self, ids: Tensor, mask: Tensor, positions: Tensor, pixels: Pixels) -> tuple[Tensor, ...]:
        """Return the decoder's states; the images come in from the side."""
        since_image = self.is_placeholder(ids).cumsum(dim=1)
        out = self.model.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            cross_attention_mask=since_image[..., None, None],
            use_cache=False,
            output_hidden_states=True,
            **pixels,
        )
        return tuple(out.hidden_states)


def _opened(model: MllamaForConditionalGeneration) -> MllamaForConditionalGeneration:
    for name, gate in model.model.language_model.named_parameters():
        if name.endswith("_gate"):  # closed in a new model: they would keep the image out until something opened them
            nn.init.ones_(gate)
    return model
