"""The `tower` stages: the vision tower on its own, from dense labels. Pictures and per-patch targets in, a loss out.

Every patch learns to say what it shows: shape, colour, texture, size and depth of its object, the object's centre, and
the background's colour. The heads are thrown away afterwards; what they asked for stays in the tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.scenes.scene_settings import SceneSettings
from vtbench_training.labels import DENSE, IGNORE, dense_labels
from vtbench_training.loop import Schedule
from vtbench_training.pupils.base import Pupil
from vtbench_training.scenery import Scenery
from vtbench_training.stream import StepStream

CENTRE_WEIGHT = 4.0


class DenseStream(StepStream):
    """Batches of a `tower` stage, from a given step on; the same whatever the number of workers."""

    def __init__(self, scenery: Scenery, schedule: Schedule, first_step: int, size: int, grid: int) -> None:
        super().__init__(first_step, schedule.steps)
        self.scenery, self.batch_size = scenery, schedule.batch_size
        self.size, self.grid = size, grid

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step."""
        spec = SceneSettings()
        pictures, classes, centres = [], [], []
        for number in range(step * self.batch_size, (step + 1) * self.batch_size):
            scene = self.scenery.scene(number)
            pictures.append(self.scenery.picture(scene, self.size))
            c, xy = dense_labels(scene, spec, self.grid)
            classes.append(c)
            centres.append(xy)
        return {
            "pictures": torch.from_numpy(np.stack(pictures)),
            "classes": torch.from_numpy(np.stack(classes)),
            "centres": torch.from_numpy(np.stack(centres)),
        }


class DenseHeads(nn.Module):
    """One linear layer over each patch token, read as class scores and a centre."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.read = nn.Linear(hidden, sum(DENSE.values()) + 2)

    def forward(self, tokens_BND: Tensor, classes_BKN: Tensor, centres_B2N: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Return the mean loss over labels and the accuracy of each label."""
        out = self.read(tokens_BND).float()
        *scores, centre = out.split([*DENSE.values(), 2], dim=-1)
        loss, shown = out.new_zeros(()), {}
        for k, (name, score) in enumerate(zip(DENSE, scores, strict=True)):
            target = classes_BKN[:, k]
            loss = loss + F.cross_entropy(score.transpose(1, 2), target, ignore_index=IGNORE)
            known = target != IGNORE
            shown[name] = (score.argmax(-1) == target)[known].float().mean().item()
        known = ~centres_B2N[:, 0].isnan()
        error = centre[known] - centres_B2N.transpose(1, 2)[known]
        shown["centre_error"] = error.abs().mean().item()
        return loss + CENTRE_WEIGHT * F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1), shown


class Seeing(nn.Module):
    """What sees in a small model, with the heads that ask it."""

    def __init__(self, pupil: Pupil) -> None:
        super().__init__()
        self.pupil, self.heads = pupil, DenseHeads(pupil.patch_width)
        self.tower = nn.ModuleList(pupil.model.get_submodule(name) for name in pupil.sees)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch, and the accuracy of each label."""
        tokens = self.pupil.patches(self.pupil.pixels(batch["pictures"]))
        loss, shown = self.heads(tokens, batch["classes"], batch["centres"])
        return loss, shown
