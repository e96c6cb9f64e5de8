"""Scene in, what each patch of the picture shows out: the dense targets of the vision tower's own training."""

from __future__ import annotations

import numpy as np

from vtbench.scenes.relations import overlap
from vtbench.scenes.render import id_mask
from vtbench.scenes.scene import CANVAS, Scene
from vtbench.scenes.scene_settings import SceneSettings

IGNORE = -100
DENSE = {"object": 2, "shape": 8, "colour": 8, "texture": 4, "size": 2, "depth": 3, "background": 8}
"""Classes of each dense label. `depth`: alone, in front of another object, behind one."""
CELL = 7
"""Mask pixels per patch side."""
COVER = 0.12
"""Share of a patch that an object must fill to be what the patch shows."""


def dense_labels(scene: Scene, spec: SceneSettings, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of each patch, row by row.

    Returns:
        classes: (len(DENSE), grid * grid) int64, `IGNORE` where a label does not apply (no object in the patch).
        centres: (2, grid * grid) float32, the patch's object's centre (x, y) in [-1, 1]; NaN where there is none.
    """
    mask = id_mask(scene, grid * CELL).reshape(grid, CELL, grid, CELL).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
    colours = list(spec.colours)
    classes = np.full((len(DENSE), grid * grid), IGNORE, dtype=np.int64)
    classes[6] = colours.index(scene.background.colour)
    centres = np.full((2, grid * grid), np.nan, dtype=np.float32)
    shares = np.stack([(mask == thing.id).mean(1) for thing in scene.objects])
    owner, seen = shares.argmax(0), shares.max(0) >= COVER
    classes[0] = seen
    for i, thing in enumerate(scene.objects):
        here = seen & (owner == i)
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
