"""Which object each token shows: a scene and the tokens' places in, what panels of tokens are coloured by out."""

from __future__ import annotations

from typing import Any

import numpy as np

from vtbench.scenes.render import id_mask
from vtbench.scenes.scene import Scene
from vtbench_probes.cues import GRID

BACKGROUND = -1
_PIXELS = 14
"""Pixels a side from which it is decided what a cell shows."""


def token_contents(scene: Scene, places_m2: np.ndarray) -> dict[str, Any]:
    """Return what there is in a scene, and which of it each token shows.

    A token shows what covers most of the cell (of an 8 x 8 grid) in which its middle lies.

    Returns:
        shows: (m,) int8, a number in `things`, or `BACKGROUND`; things: shape, colour and texture of each object;
        background: the background's colour.
    """
    ids = id_mask(scene, GRID * _PIXELS)
    cells = ids.reshape(GRID, _PIXELS, GRID, _PIXELS).swapaxes(1, 2).reshape(GRID * GRID, -1)
    candidates = [BACKGROUND, *(thing.id for thing in scene.things)]
    shares = np.stack([(cells == number).sum(axis=1) for number in candidates])
    column, row = np.clip((np.asarray(places_m2) * GRID).astype(int), 0, GRID - 1).T
    return {
        "shows": (shares.argmax(axis=0) - 1)[row * GRID + column].astype(np.int8),
        "things": [[thing.shape, thing.colour, thing.texture] for thing in scene.things],
        "background": scene.background.colour,
    }
