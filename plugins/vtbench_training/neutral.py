"""Stages in which connector and decoder learn to say what they see, and are never asked anything.

Packed captions in, a loss out. In `pointing` and `directions` stages one linear layer also reads, from the middle of
the decoder, where each object is that a caption has singled out. What comes of it is a general model: it has seen none
of the benchmark's questions, answers or scene graphs, so that fine-tuning on a family starts where no family has been.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.scene_settings import SceneSettings
from vtbench_training.captions import PROMPTS, caption
from vtbench_training.curriculum import Worded
from vtbench_training.loop import Schedule
from vtbench_training.packing import IGNORE, Packer
from vtbench_training.places import GROUND_WEIGHT, Places
from vtbench_training.pupils.base import Pupil
from vtbench_training.reading import read_packed
from vtbench_training.recipe import Recipe
from vtbench_training.scenery import Scenery
from vtbench_training.stream import StepStream

ROOM = 200
"""Tokens of captions for each picture."""


class CaptionStream(StepStream):
    """Batches of a `captions` stage, from a given step on; the same whatever the number of workers."""

    def __init__(
        self,
        scenery: Scenery,
        packer: Packer,
        schedule: Schedule,
        first_step: int,
        recipe: Recipe,
        directions: bool = False,
    ) -> None:
        super().__init__(first_step, schedule.steps)
        self.scenery, self.packer, self.recipe = scenery, packer, recipe
        self.batch_size, self.directions = schedule.batch_size, directions

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step."""
        pictures, rows = [], []
        for number in range(step * self.batch_size, (step + 1) * self.batch_size):
            scene = self.scenery.scene(number)
            pictures.append(self.scenery.picture(scene, self.recipe.sizes.image_size))
            rows.append(self._row(scene, number * self.recipe.questions))
        return {"pictures": torch.from_numpy(np.stack(pictures)), **self.packer.batch(rows)}

    def _row(self, scene: Scene, first_seed: int) -> list[Worded]:
        """Return captions of one picture, as many as fit: rows of one length waste no padding."""
        row: list[Worded] = []
        room = ROOM
        for seed in range(first_seed, first_seed + self.recipe.questions):
            told = caption(scene, seed, self.directions)
            worded = Worded(HashRng("prompt", scene.hash, seed).choice(PROMPTS), told.text, told=told.named)
            room -= len(self.packer.encode(worded).ids)
            if row and room < 0:
                break
            row.append(worded)
        return row


class Captioning(nn.Module):
    """A small model that learns from captions alone.

    Args:
        pupil: the model; what sees in it stays as it is.
        packer: what makes the batches.
        pointing: whether it learns where the objects are that captions name, too.
    """

    def __init__(self, pupil: Pupil, packer: Packer, pointing: bool = False) -> None:
        super().__init__()
        self.pupil, self.model = pupil, pupil.model
        self.places = Places(pupil.model) if pointing else None
        spec = SceneSettings()
        words = {"shape": spec.shapes, "colour": spec.colours, "texture": spec.textures, "size": spec.sizes}
        self.words = {cue: torch.tensor([packer.first(word) for word in group]) for cue, group in words.items()}

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and the share of right tokens: of all, and of the words of each cue."""
        said = batch["targets"] != IGNORE
        target = batch["targets"][said]
        # A CPU reads about a third faster in bfloat16 too.
        with torch.autocast(target.device.type, torch.bfloat16):
            states = read_packed(self.pupil, batch)
            logits = self.pupil.logits(states[-1][said])
        right = (logits.argmax(-1) == target).float()
        shown = {"tokens_right": right.mean().item()}
        for cue, ids in self.words.items():
            mine = torch.isin(target, ids.to(target.device))
            shown[cue] = right[mine].mean().item() if mine.any() else 0.0
        loss = F.cross_entropy(logits, target)
        if self.places is None:
            return loss, shown
        ground, error = self.places(states, batch)
        return loss + GROUND_WEIGHT * ground, shown | {"place_error": error}
