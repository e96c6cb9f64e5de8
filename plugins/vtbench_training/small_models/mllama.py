"""A small Llama 3.2 Vision: two-stage ViT, linear projection, a LLaMA with layers that attend to the image alone.

The decoder's sequence holds one placeholder, and every token from it on attends to the projected patches. The tower's
output is the states of its first layer concatenated to those of its last, as the published model does with several.
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

IMAGE = "<|image|>"


def build(sizes: Sizes, seed: int = 0, templated: bool = True, max_tiles: int = 1) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        templated: whether the processor has a chat template.
        max_tiles: most tiles of `sizes.image_size` in a row or column that an image is cut into.
    """
    tokenizer = bpe_tokenizer("<|python_tag|>", image_token=IMAGE)
    pixels = MllamaImageProcessorPil(
        size={"height": sizes.image_size, "width": sizes.image_size},
        max_image_tiles=max_tiles,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
    )
    processor = MllamaProcessor(pixels, tokenizer, chat_template=chat_template(IMAGE) if templated else None)
    shapes = [[1, 1], *([a, b] for count in range(2, max_tiles + 1) for a, b in ((1, count), (count, 1)))]
    text = decoder_sizes(sizes, len(tokenizer), tied=False)  # its two tables differ in length
    config = MllamaConfig(
        vision_config=MllamaVisionConfig(
            **tower_sizes(sizes),
            num_global_layers=1,
            vision_output_dim=2 * sizes.vision_hidden,
            intermediate_layers_indices=[0],
            max_num_tiles=max_tiles,
            supported_aspect_ratios=shapes,
        ),
        text_config=MllamaTextConfig(**text, cross_attention_layers=list(range(1, sizes.layers, 2))),
        image_token_index=tokenizer.image_token_id,
        tie_word_embeddings=False,
    )
    return seeded(lambda: _opened(MllamaForConditionalGeneration(config)), seed), processor


class Mllama(SmallVLM):
    """Patches to which the decoder attends in every other layer."""

    description = (
        "Llama 3.2 Vision: two-stage ViT, linear projection, LLaMA in which every other layer is cross-attention"
    )
    vision_modules = ("model.vision_model",)

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.prefix_ids = self.tokenizer.encode(f"<s>USER: {IMAGE}").ids

    @property
    def patch_width(self) -> int:
        """Width of two layers' concatenated states."""
        return 2 * self.sizes.vision_hidden

    def pixel_inputs(self, images: Tensor) -> Pixels:
        """Return the images, one for each text and one tile each, with the id of that aspect ratio."""
        values = super().pixel_inputs(images)["pixel_values"][:, None, None]
        ones = torch.ones(len(values), 1, dtype=torch.long, device=values.device)
        return {"pixel_values": values, "aspect_ratio_ids": ones, "aspect_ratio_mask": ones[..., None]}

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's last hidden state without the class token."""
        tokens: Tensor = self.model.model.vision_model(**pixels).last_hidden_state[:, 0, 0, 1:]
        return tokens

    def hidden_states(self, ids: Tensor, mask: Tensor, positions: Tensor, pixels: Pixels) -> tuple[Tensor, ...]:
        """Return the decoder's hidden states; images enter through cross-attention."""
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
        if name.endswith("_gate"):  # closed in a new model, where they would keep the image out
            nn.init.ones_(gate)
    return model
