"""Answer stages: connector and decoder learn to answer questions, with the vision modules frozen.

The loss is the cross-entropy of the answers' tokens, and the grounding head's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.adapter import IGNORE_INDEX
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench_training.pretrain.curriculum import Curriculum, PromptAnswer
from vtbench_training.pretrain.grounding_head import GROUNDING_WEIGHT, GroundingHead
from vtbench_training.pretrain.packed_forward import packed_forward
from vtbench_training.pretrain.packing import Packer
from vtbench_training.pretrain.recipe import Recipe
from vtbench_training.pretrain.token_penalty import TokenPenalty, with_penalty
from vtbench_training.small_models.base import SmallVLM


def question_texts(curriculum: Curriculum, recipe: Recipe, seed: int, scene: Scene, number: int) -> list[PromptAnswer]:
    """Return the questions about a training scene.

    Args:
        curriculum: asks them.
        recipe: how many.
        seed: of the scenes.
        scene: asked about.
        number: of the scene.
    """
    draws = HashRng("questions", seed, number)
    return curriculum.questions(scene, draws, recipe.questions, recipe.graph_percent)


class AnswerStage(nn.Module):
    """A small model and its grounding head.

    Args:
        vlm: the model.
        packer: made the batches.
    """

    penalty: TokenPenalty | None = None
    """On its visual tokens."""

    def __init__(self, vlm: SmallVLM, packer: Packer) -> None:
        super().__init__()
        self.vlm, self.packer = vlm, packer
        self.model, self.places = vlm.model, GroundingHead(vlm.model)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and token accuracy: of all answers, and of some groups of words."""
        tokens = None
        if self.penalty is not None:
            tokens = self.vlm.visual_tokens(self.vlm.pixel_inputs(batch["images"]))
        states = packed_forward(self.vlm, batch, tokens)
        answered = batch["targets"] != IGNORE_INDEX
        logits = self.vlm.logits(states[-1][answered])
        target = batch["targets"][answered]
        answers = F.cross_entropy(logits, target)
        ground, error = self.places(states, batch)
        right = logits.argmax(-1) == target
        logged = {
            "answers": answers.item(),
            "tokens_right": right.float().mean().item(),
            "place_error": error,
        }
        logged |= self._accuracy_by_word(right, target)
        return with_penalty(self.penalty, answers + GROUNDING_WEIGHT * ground, logged, tokens)

    def _accuracy_by_word(self, right: Tensor, target: Tensor) -> dict[str, float]:
        groups = {
            "yes_no": ("yes", "no"),
            "where": ("left", "right", "above", "below"),
            "shape": ("circle", "ring", "star"),
        }
        logged = {}
        for name, words in groups.items():
            ids = torch.tensor([self.packer.first(word) for word in words], device=target.device)
            group = torch.isin(target, ids)
            logged[name] = right[group].float().mean().item() if group.any() else 0.0
        return logged
