"""Caption stages: connector and decoder learn to describe images, with the vision modules frozen.

In `pointing` and `directions` stages the grounding head learns beside them, from the objects that a caption mentions.
The result is a general captioning model, which has seen none of the benchmark's questions, answers or scene graphs, so
that fine-tuning on a family starts from a model without any.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.adapter import IGNORE_INDEX
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.scene_settings import SceneSettings
from vtbench_training.pretrain.captions import PROMPTS, caption
from vtbench_training.pretrain.curriculum import PromptAnswer
from vtbench_training.pretrain.grounding_head import GROUNDING_WEIGHT, GroundingHead
from vtbench_training.pretrain.packed_forward import packed_forward
from vtbench_training.pretrain.packing import Packer
from vtbench_training.pretrain.token_penalty import TokenPenalty, with_penalty
from vtbench_training.small_models.base import SmallVLM

ROW_TOKENS = 200
"""Most tokens of captions for an image."""


def caption_texts(packer: Packer, most: int, directions: bool, scene: Scene, number: int) -> list[PromptAnswer]:
    """Return captions of a training scene, as many as fit: rows of equal length need no padding.

    Args:
        packer: counts their tokens.
        most: number of captions.
        directions: whether they are mostly about on which side of another an object lies.
        scene: described.
        number: of the scene.
    """
    row: list[PromptAnswer] = []
    left = ROW_TOKENS
    for seed in range(number * most, (number + 1) * most):
        made = caption(scene, seed, directions)
        prompt = HashRng("prompt", scene.hash, seed).choice(PROMPTS)
        text = PromptAnswer(prompt, made.text, answer_mentions=made.mentions)
        left -= len(packer.encode(text).ids)
        if row and left < 0:
            break
        row.append(text)
    return row


class CaptionStage(nn.Module):
    """A small model that learns from captions alone.

    Args:
        vlm: the model; its vision modules are frozen.
        packer: made the batches.
        grounding: whether the grounding head learns beside it.
    """

    penalty: TokenPenalty | None = None
    """On its visual tokens."""

    def __init__(self, vlm: SmallVLM, packer: Packer, grounding: bool = False) -> None:
        super().__init__()
        self.vlm, self.model = vlm, vlm.model
        self.places = GroundingHead(vlm.model) if grounding else None
        spec = SceneSettings()
        words = {"shape": spec.shapes, "colour": spec.colours, "texture": spec.textures, "size": spec.sizes}
        self.words = {cue: torch.tensor([packer.inside(word) for word in group]) for cue, group in words.items()}

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and token accuracy: of all words, and of the words of each cue."""
        captioned = batch["targets"] != IGNORE_INDEX
        target = batch["targets"][captioned]
        tokens = None
        # bfloat16 is about a third faster on a CPU, too.
        with torch.autocast(target.device.type, torch.bfloat16):
            if self.penalty is not None:
                tokens = self.vlm.visual_tokens(self.vlm.pixel_inputs(batch["images"]))
            states = packed_forward(self.vlm, batch, tokens)
            logits = self.vlm.logits(states[-1][captioned])
        right = (logits.argmax(-1) == target).float()
        logged = {"tokens_right": right.mean().item()}
        for cue, ids in self.words.items():
            group = torch.isin(target, ids.to(target.device))
            logged[cue] = right[group].mean().item() if group.any() else 0.0
        loss = F.cross_entropy(logits, target)
        if self.places is not None:
            ground, error = self.places(states, batch)
            loss, logged = loss + GROUNDING_WEIGHT * ground, logged | {"place_error": error}
        return with_penalty(self.penalty, loss, logged, tokens)
