"""Vision stages: the vision tower learns dense labels, what each patch shows.

A linear head predicts shape, colour, texture, size and depth of the object in each patch, the object's centre, and the
background's colour. The head is discarded after training.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.adapter import IGNORE_INDEX
from vtbench.scenes.relations import overlap
from vtbench.scenes.render import id_mask
from vtbench.scenes.scene import CANVAS, Scene
from vtbench.scenes.scene_settings import SceneSettings
from vtbench_training.pretrain.scene_stream import SceneStream
from vtbench_training.pretrain.token_penalty import TokenPenalty, with_penalty
from vtbench_training.small_models.base import SmallVLM
from vtbench_training.training_loop import Schedule, StepStream

LABEL_CLASSES = {"object": 2, "shape": 8, "colour": 8, "texture": 4, "size": 2, "depth": 3, "background": 8}
"""Number of classes of each dense label. `depth`: alone, in front of another object, behind one."""
CELL = 7
"""Pixels of the object mask per patch side."""
COVER = 0.12
"""Share of a patch that an object must cover for the patch to be labelled with it."""
CENTRE_WEIGHT = 4.0


def dense_labels(scene: Scene, spec: SceneSettings, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of each patch, row by row.

    Returns:
        classes: (len(LABEL_CLASSES), grid * grid) int64, `IGNORE_INDEX` where a label does not apply (no object in the
            patch).
        centres: (2, grid * grid) float32, the patch's object's centre (x, y) in [-1, 1]; NaN where there is none.
    """
    mask = id_mask(scene, grid * CELL).reshape(grid, CELL, grid, CELL).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
    colours = list(spec.colours)
    classes = np.full((len(LABEL_CLASSES), grid * grid), IGNORE_INDEX, dtype=np.int64)
    classes[6] = colours.index(scene.background.colour)
    centres = np.full((2, grid * grid), np.nan, dtype=np.float32)
    shares = np.stack([(mask == thing.id).mean(1) for thing in scene.objects])
    largest, covered = shares.argmax(0), shares.max(0) >= COVER
    classes[0] = covered
    for i, thing in enumerate(scene.objects):
        here = covered & (largest == i)
        classes[1:6, here] = np.array(
            [
                spec.shapes.index(thing.shape),
                colours.index(thing.colour),
                spec.textures.index(thing.texture),
                list(spec.sizes).index(thing.size),
                _depth(scene, i),
            ]
        )[:, None]
        centres[:, here] = np.array([[2 * thing.cx / CANVAS - 1], [2 * thing.cy / CANVAS - 1]])
    return classes, centres


def _depth(scene: Scene, i: int) -> int:
    thing = scene.objects[i]
    for other in scene.objects:
        if other is not thing and overlap(thing, other) > 0:
            return 1 if thing.z > other.z else 2
    return 0


class DenseLabelStream(StepStream):
    """Batches of a vision stage, from a given step on."""

    def __init__(self, scenes: SceneStream, schedule: Schedule, first_step: int, size: int, grid: int) -> None:
        super().__init__(first_step, schedule.steps)
        self.scenes, self.batch_size = scenes, schedule.batch_size
        self.size, self.grid = size, grid

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step: `images` (B, 3, S, S) uint8, and `classes` and `centres` as `dense_labels`."""
        spec = SceneSettings()
        images, classes, centres = [], [], []
        for number in range(step * self.batch_size, (step + 1) * self.batch_size):
            scene = self.scenes.scene(number)
            images.append(self.scenes.image(scene, self.size))
            c, xy = dense_labels(scene, spec, self.grid)
            classes.append(c)
            centres.append(xy)
        return {
            "images": torch.from_numpy(np.stack(images)),
            "classes": torch.from_numpy(np.stack(classes)),
            "centres": torch.from_numpy(np.stack(centres)),
        }


class DenseHeads(nn.Module):
    """A linear layer over each patch's features that predicts class logits and a centre."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.read = nn.Linear(hidden, sum(LABEL_CLASSES.values()) + 2)

    def forward(self, tokens_BND: Tensor, classes_BKN: Tensor, centres_B2N: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Return the loss summed over labels, and the accuracy of each label."""
        out = self.read(tokens_BND).float()
        *scores, centre = out.split([*LABEL_CLASSES.values(), 2], dim=-1)
        loss, logged = out.new_zeros(()), {}
        for k, (name, score) in enumerate(zip(LABEL_CLASSES, scores, strict=True)):
            target = classes_BKN[:, k]
            loss = loss + F.cross_entropy(score.transpose(1, 2), target, ignore_index=IGNORE_INDEX)
            known = target != IGNORE_INDEX
            logged[name] = (score.argmax(-1) == target)[known].float().mean().item()
        known = ~centres_B2N[:, 0].isnan()
        error = centre[known] - centres_B2N.transpose(1, 2)[known]
        logged["centre_error"] = error.abs().mean().item()
        return loss + CENTRE_WEIGHT * F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1), logged


class VisionStage(nn.Module):
    """The vision modules of a small model under the dense heads."""

    penalty: TokenPenalty | None = None
    """On its patches."""

    def __init__(self, vlm: SmallVLM) -> None:
        super().__init__()
        self.vlm, self.heads = vlm, DenseHeads(vlm.patch_width)
        self.tower = nn.ModuleList(vlm.model.get_submodule(name) for name in vlm.vision_modules)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch, and the accuracy of each label."""
        tokens = self.vlm.patch_features(self.vlm.pixel_inputs(batch["images"]))
        loss, logged = self.heads(tokens, batch["classes"], batch["centres"])
        return with_penalty(self.penalty, loss, logged, tokens)
