"""A small LLaVA: CLIP ViT, two-layer MLP, LLaMA; its patches are its visual tokens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Self

from torch import Tensor

from vtbench_llava.build import build_llava, build_processor
from vtbench_training.pupils.base import Pixels, Pupil
from vtbench_training.recipe import Sizes
from vtbench_training.vocabulary import train_tokenizer
from vtbench_training.wording import LLAVA_TURNS


class Llava(Pupil):
    """The tower's patches through the connector into the decoder's sequence."""

    about = "CLIP ViT, two-layer MLP connector, LLaMA"
    sees = ("model.vision_tower",)
    wording = LLAVA_TURNS

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.head = [*self.tokenizer.encode("<s>USER: ").ids, *[model.config.image_token_id] * sizes.grid**2]

    @classmethod
    def build(cls, sizes: Sizes, seed: int) -> Self:
        """Return an untrained one."""
        backend = train_tokenizer()
        model = build_llava(**asdict(sizes), vocab_size=backend.get_vocab_size(), seed=seed)
        return cls(model, build_processor(backend, sizes.image_size, sizes.patch_size), sizes)

    def visual(self, pixels: Pixels) -> Tensor:
        """Return what the connector makes of the patches."""
        tokens: Tensor = self.model.model.multi_modal_projector(self.patches(pixels))
        return tokens
