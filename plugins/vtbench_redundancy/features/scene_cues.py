"""The cues of a scene as numbers: what a question may ask about an image, beside its pixels.

A scene becomes the columns Y of the target `cues`: for each shape, colour, texture and size the number of objects that
have it, and the mean place of their centres. They are the scene's own facts and do not depend on how it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vtbench.scenes.scene import CANVAS, Scene
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SIZES, TEXTURES
from vtbench_redundancy.estimators.normal_scores import CONSTANT

KINDS = ("shape", "colour", "texture", "size")
"""Properties of an object that have columns."""
OF_EACH = ("count", "x", "y")
"""Columns of each value of a property."""
_MIDDLE = 0.5
"""The place of objects that are not there: a scene without them says nothing about where they are."""


@dataclass(frozen=True, slots=True)
class CueColumns:
    """The columns that every scene of a task has.

    >>> len(CueColumns.of([]))
    66
    """

    values: tuple[tuple[str, str], ...]
    """Property and value, e.g. `("colour", "red")`; each has a count, a mean x and a mean y."""

    @classmethod
    def of(cls, settings: Iterable[Mapping[str, Any]]) -> CueColumns:
        """Return the columns of scenes by their settings: those of the built-in scenes, and the settings' own words.

        Args:
            settings: the `scene` of each part of a task's config.
        """
        built_in: tuple[Iterable[str], ...] = (SHAPES, COLOURS, TEXTURES, SIZES)
        words = {kind: dict.fromkeys(known) for kind, known in zip(KINDS, built_in, strict=True)}
        for scene in settings:
            for kind in ("shape", "colour", "size"):
                words[kind] |= dict.fromkeys(scene.get(f"{kind}s") or ())
        return cls(tuple((kind, word) for kind, known in words.items() for word in known))

    def __len__(self) -> int:
        return len(OF_EACH) * len(self.values)

    @property
    def names(self) -> list[str]:
        """Names of the columns, e.g. `count of colour red`."""
        return [f"{what} of {kind} {word}" for kind, word in self.values for what in OF_EACH]

    @property
    def properties(self) -> dict[str, list[int]]:
        """Columns that say how many objects have each shape, colour, texture and size, and where each shape is.

        >>> {name: len(columns) for name, columns in CueColumns.of([]).properties.items()}
        {'shape': 8, 'position': 16, 'colour': 8, 'texture': 4, 'size': 2}
        """
        found: dict[str, list[int]] = {}
        for i, (kind, _) in enumerate(self.values):
            count, x, y = (len(OF_EACH) * i + j for j in range(len(OF_EACH)))
            found.setdefault(kind, []).append(count)
            if kind == "shape":
                found.setdefault("position", []).extend((x, y))
        return found

    def of_scene(self, scene: Scene) -> np.ndarray:
        """Return a scene's columns, (3 values,) float32: number of objects, mean x and y as fractions of the canvas.

        Where there are none the place is the middle. Words without columns are passed over.
        """
        number = {value: i for i, value in enumerate(self.values)}
        found = np.zeros((len(self.values), len(OF_EACH)), np.float32)
        for thing in scene.objects:
            for kind in KINDS:
                if (row := number.get((kind, getattr(thing, kind)))) is not None:
                    found[row] += (1, thing.cx / CANVAS, thing.cy / CANVAS)
        there = found[:, :1] > 0
        found[:, 1:] = np.where(there, found[:, 1:] / np.maximum(found[:, :1], 1), _MIDDLE)
        return found.ravel()

    def array(self) -> np.ndarray:
        """Return the values as an array of strings, for a file."""
        return np.array(self.values)

    @classmethod
    def of_array(cls, array: np.ndarray) -> CueColumns:
        """Restore from what `array` returned."""
        return cls(tuple((str(kind), str(word)) for kind, word in array))


def varying(columns_nc: np.ndarray) -> np.ndarray:
    """Return the columns that are not the same in every image, (n, v): those that estimators do not take for constants.

    >>> varying(np.array([[1.0, 2.0], [1.0, 3.0]])).tolist()
    [[2.0], [3.0]]
    """
    return columns_nc[:, columns_nc.std(axis=0, dtype=np.float64) > CONSTANT]


def varying_or_one(columns_nc: np.ndarray) -> np.ndarray:
    """Return the columns that are not the same in every image; of none, one of the others, which the scores then flag.

    >>> varying_or_one(np.ones((3, 2))).tolist()
    [[1.0], [1.0], [1.0]]
    """
    found = varying(columns_nc)
    return found if found.shape[1] else columns_nc[:, :1]


def scene_settings(parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the settings of the scenes of a task's parts, of those that have any."""
    return [scene for part in parts if isinstance(scene := part.get("scene"), Mapping)]
