"""An endless stream of training scenes: number -> scene -> image. Scenes are of the `train` split alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vtbench.scenes.items import ItemSource
from vtbench.scenes.render import render
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.task.loading import builtin_source


class SceneStream:
    """Scenes of several families, mixed by weight.

    Args:
        mix: weight of each family.
        seed: of the scenes.
    """

    def __init__(self, mix: Mapping[str, int], seed: int) -> None:
        self.seed = seed
        self._turns = [name for name, weight in mix.items() for _ in range(weight)]
        self._sources: dict[str, ItemSource] = {name: builtin_source(name, split="train", seed=seed) for name in mix}

    def scene(self, number: int) -> Scene:
        """Return scene `number`, any from 0 on; the same on every machine."""
        # Two neighbours share a family, so that both members of a minimal pair are used and made once.
        family = HashRng("scenery", self.seed, number // 2).choice(self._turns)
        return self._sources[family].item(number).scene

    def image(self, scene: Scene, size: int) -> np.ndarray:
        """Return the image of a scene, (3, size, size) uint8."""
        return np.ascontiguousarray(np.asarray(render(scene, size)).transpose(2, 0, 1))
