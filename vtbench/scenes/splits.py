"""Which scenes belong to which split: a scene's own content decides, so no two splits can share one.

The key is the scene as a reader would remember it, positions rounded to a sixteenth of the canvas. It does not change
when two objects swap places or drawing order, so the members of a minimal pair are always in the same split.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from vtbench.scenes.scene import CANVAS, Scene
from vtbench.scenes.spec import SceneSpec

Split = Literal["train", "val", "test", "probe", "comp", "noise", "background"]
SPLITS: tuple[Split, ...] = get_args(Split)
SHARES = {"train": 40, "val": 15, "test": 30, "probe": 15}
"""Percent of all scene keys that each split owns."""
OWNER = {"comp": "test", "noise": "test", "background": "test"}
"""Splits whose scenes come from another's share; `noise` and `background` are that split's very items, changed."""


def quantised(scene: Scene) -> str:
    """Return the scene's key: looks and rounded places, each as a sorted bag."""
    cell = CANVAS // 16
    looks = sorted(f"{t.colour} {t.shape} {t.texture} {t.size}" for t in scene.things)
    places = sorted((t.cx // cell, t.cy // cell) for t in scene.things)
    return f"{scene.background.colour}|{looks}|{places}"


def split_of(scene: Scene) -> str:
    """Return which of train, val, test and probe owns the scene."""
    digest = hashlib.blake2b(quantised(scene).encode(), digest_size=4).digest()
    rest = int.from_bytes(digest, "little") % 100
    for name, share in SHARES.items():
        if rest < share:
            return name
        rest -= share
    raise AssertionError("shares add up to 100")


def held_out(spec: SceneSpec, colour: str, shape: str) -> bool:
    """Return whether this pair of words is kept for the `comp` split: one cell of a Latin square for each shape."""
    colours, shapes = [*spec.colours], [str(word) for word in spec.shapes]
    return (colours.index(colour) + shapes.index(shape)) % max(len(colours), len(shapes), 2) == 0
