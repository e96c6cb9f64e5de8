"""The `decoder` stages: connector and decoder learn to answer. Packed batches in, a loss out.

Beside the answers, one linear layer reads from the middle of the decoder where each object is that a question has just
named. Without that the two look-ups and the comparison behind a relation take far longer to appear.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.scenes.rng import HashRng
from vtbench_training.curriculum import Curriculum
from vtbench_training.loop import Schedule
from vtbench_training.packing import IGNORE, Packer
from vtbench_training.places import GROUND_WEIGHT, Places
from vtbench_training.pupils.base import Pupil
from vtbench_training.reading import read_packed
from vtbench_training.recipe import Recipe
from vtbench_training.scenery import Scenery
from vtbench_training.stream import StepStream


class AnswerStream(StepStream):
    """Batches of a `decoder` stage, from a given step on; the same whatever the number of workers."""

    def __init__(
        self,
        scenery: Scenery,
        curriculum: Curriculum,
        packer: Packer,
        schedule: Schedule,
        first_step: int,
        recipe: Recipe,
    ) -> None:
        self.scenery, self.curriculum, self.packer, self.recipe = scenery, curriculum, packer, recipe
        super().__init__(first_step, schedule.steps)
        self.batch_size = schedule.batch_size

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step."""
        pictures, rows = [], []
        for number in range(step * self.batch_size, (step + 1) * self.batch_size):
            scene = self.scenery.scene(number)
            pictures.append(self.scenery.picture(scene, self.recipe.sizes.image_size))
            draws = HashRng("questions", self.scenery.seed, number)
            rows.append(self.curriculum.questions(scene, draws, self.recipe.questions, self.recipe.graph_percent))
        return {"pictures": torch.from_numpy(np.stack(pictures)), **self.packer.batch(rows)}


class Answering(nn.Module):
    """A small model and the layer that reads places from its middle."""

    def __init__(self, pupil: Pupil, packer: Packer) -> None:
        super().__init__()
        self.pupil, self.packer = pupil, packer
        self.model, self.places = pupil.model, Places(pupil.model)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and the share of right answer tokens and of answers right in every token."""
        states = read_packed(self.pupil, batch)
        asked = batch["targets"] != IGNORE
        logits = self.pupil.logits(states[-1][asked])
        target = batch["targets"][asked]
        answers = F.cross_entropy(logits, target)
        ground, error = self.places(states, batch)
        right = logits.argmax(-1) == target
        shown = {
            "answers": answers.item(),
            "tokens_right": right.float().mean().item(),
            "place_error": error,
        }
        return answers + GROUND_WEIGHT * ground, shown | self._by_word(right, target)

    def _by_word(self, right: Tensor, target: Tensor) -> dict[str, float]:
        groups = {
            "yes_no": ("yes", "no"),
            "where": ("left", "right", "above", "below"),
            "shape": ("circle", "ring", "star"),
        }
        shown = {}
        for name, words in groups.items():
            ids = torch.tensor([self.packer.first(word) for word in words], device=target.device)
            mine = torch.isin(target, ids)
            shown[name] = right[mine].float().mean().item() if mine.any() else 0.0
        return shown
