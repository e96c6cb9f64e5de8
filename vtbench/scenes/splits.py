"""Assigns every scene to one split by a hash of its content, so that no two splits share a scene.

The hashed key has the objects' words and their positions, rounded to a sixteenth of the canvas. It does not change when
two objects swap positions or drawing order, so the members of a minimal pair are always in the same split.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from vtbench.scenes.scene import CANVAS, Scene
from vtbench.scenes.scene_settings import SceneSettings

Split = Literal["train", "val", "test", "probe", "comp", "noise", "background"]
SPLITS: tuple[Split, ...] = get_args(Split)
SHARES = {"train": 40, "val": 15, "test": 30, "probe": 15}
"""Percentage of all scene keys that each split owns."""
OWNER = {"comp": "test", "noise": "test", "background": "test"}
"""Splits that take their scenes from another split; `noise` and `background` have the same items as it, modified."""


def quantised(scene: Scene) -> str:
    """Return the scene's key: the objects' words and their rounded positions, each as a sorted multiset."""
    cell = CANVAS // 16
    words = sorted([f"{obj.colour} {obj.shape} {obj.texture} {obj.size}" for obj in scene.objects])
    positions = sorted([(obj.cx // cell, obj.cy // cell) for obj in scene.objects])
    return f"{scene.background.colour}|{words}|{positions}"


def split_of(scene: Scene) -> str:
    """Return which of train, val, test and probe owns the scene."""
    digest = hashlib.blake2b(quantised(scene).encode(), digest_size=4).digest()
    rest = int.from_bytes(digest, "little") % 100
    for name, share in SHARES.items():
        if rest < share:
            return name
        rest -= share
    raise AssertionError("shares add up to 100")


def held_out(settings: SceneSettings, colour: str, shape: str) -> bool:
    """Return whether this colour-shape pair is reserved for the `comp` split: a diagonal of the colour-shape table."""
    colours, shapes = [*settings.colours], settings.shapes
    # Of a cast every object has a held-out colour, however many there are.
    modulus = max(len(colours), len(shapes), 2) if settings.cast is None else min(len(colours), len(shapes))
    return (colours.index(colour) + shapes.index(shape)) % modulus == 0
