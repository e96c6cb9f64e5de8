"""`SmallVLM`: what pretraining needs of a small model, and what the families share.

A sequence is a prefix (the text before the image, and the image's placeholders) and the packed texts behind it. Vision
stages train on `patch_features`, language stages on the decoder's `hidden_states`. A family says how images become
inputs (`pixel_inputs`), which tokens the decoder is given (`visual_tokens`) and where the patches are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from vtbench.adapter import PLAIN
from vtbench_hf.checkpoint.published import save_published
from vtbench_training.small_models.components import CLIP_MEAN, CLIP_STD
from vtbench_training.small_models.sizes import Sizes

Pixels = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """Text around a question and its answer, as a family's prompt has it behind the image.

    >>> LLAVA_FORMAT.question("What is it?").strip(), LLAVA_FORMAT.answer("a star")
    ('What is it? ASSISTANT:', ' a star</s>')
    """

    before: str = ""
    after: str = ""
    before_answer: str = ""
    after_answer: str = "</s>"

    def question(self, text: str) -> str:
        """Return the question as it stands behind the image."""
        return self.before + text + self.after

    def answer(self, text: str) -> str:
        """Return the answer as it stands behind the question."""
        return self.before_answer + text + self.after_answer


LLAVA_FORMAT = PromptFormat("\n", " ASSISTANT:", " ")
"""That of LLaVA 1.5."""


class SmallVLM:
    """A small model of one family with what pretraining must know of it.

    Args:
        model: in float32.
        processor: its own.
        sizes: those that it was built with.
    """

    description: ClassVar[str]
    """Its architecture in a line, for its model card."""
    vision_modules: ClassVar[tuple[str, ...]] = ("model.vision_tower",)
    """Modules that vision stages train and language stages freeze."""
    prompt_format: PromptFormat = LLAVA_FORMAT
    bidirectional_prefix: ClassVar[bool] = False
    """Whether image and question attend to each other in both directions (a prefix language model). The image's states
    then depend on the question, so that two questions cannot share them."""
    prefix_ids: list[int]
    """Token ids before the first question: the text before the image, and the image's placeholders."""

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        self.model, self.processor, self.sizes = model, processor, sizes

    @property
    def tokenizer(self) -> Tokenizer:
        """The `tokenizers` backend of the processor's tokenizer."""
        backend: Tokenizer = self.processor.tokenizer.backend_tokenizer
        return backend

    @property
    def prefix_positions(self) -> Tensor:
        """Position of each token of the prefix, (axes, P); the text goes on after the largest."""
        return torch.arange(len(self.prefix_ids))[None]

    @property
    def decoder(self) -> nn.Module:
        """The language model without its output layer."""
        module: nn.Module = self.model.model.language_model
        return module

    @property
    def patch_width(self) -> int:
        """Width of `patch_features`."""
        return self.sizes.vision_hidden

    def pixel_inputs(self, images: Tensor) -> Pixels:
        """Return the model's image inputs, equal to those of its processor.

        Args:
            images: (B, 3, S, S) uint8, S the model's own image size.
        """
        return {"pixel_values": normalise(images)}

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the features of each patch, row by row, (B, grid * grid, d).

        Here: the last hidden state of a vision tower, without its class token.
        """
        tokens: Tensor = self.model.model.vision_tower(pixels["pixel_values"]).last_hidden_state[:, 1:]
        return tokens

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the tokens that replace the placeholders, (B, N, d). Here: the patches through the connector."""
        tokens: Tensor = self.model.model.multi_modal_projector(self.patch_features(pixels))
        return tokens

    def is_placeholder(self, ids: Tensor) -> Tensor:
        """Return which tokens are placeholders."""
        return ids == self.model.config.image_token_id

    def hidden_states(self, ids: Tensor, mask: Tensor, positions: Tensor, pixels: Pixels) -> tuple[Tensor, ...]:
        """Return the decoder's hidden states at every layer, embeddings first, (B, P, d) each; `logits` reads the last.

        Args:
            ids: (B, P) int64.
            mask: (B, 1, P, P), added to the attention scores.
            positions: (B, P), or (axes, B, P) where there are several axes.
            pixels: of `pixel_inputs`.
        """
        return self.hidden_states_from(ids, mask, positions, self.visual_tokens(pixels))

    def hidden_states_from(self, ids: Tensor, mask: Tensor, positions: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
        """Return the same from visual tokens (B, N, d) in place of pixels."""
        embedded = self.model.get_input_embeddings()(ids)
        inputs = embedded.masked_scatter(self.is_placeholder(ids)[..., None], tokens.to(embedded.dtype))
        out = self.decoder(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            output_hidden_states=True,
        )
        return tuple(out.hidden_states)

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of the next token, float32."""
        scores: Tensor = self.model.get_output_embeddings()(states)
        return scores.float()

    def train_vision(self, enabled: bool) -> None:
        """Train `vision_modules`, or freeze them."""
        for name in self.vision_modules:
            self.model.get_submodule(name).requires_grad_(enabled)

    def save(self, directory: Path, dtype: torch.dtype) -> None:
        """Write the model in the published layout, as one that was trained on our tasks."""
        save_published(self.model.cpu().eval(), self.processor, directory, dtype, prompt_format=PLAIN)


def normalise(images: Tensor, mean: tuple[float, ...] = CLIP_MEAN, std: tuple[float, ...] = CLIP_STD) -> Tensor:
    """Return (B, 3, S, S) uint8 images as an image processor normalises them, float32."""
    means, stds = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (mean, std))
    return (images.float() / 255 - means) / stds
