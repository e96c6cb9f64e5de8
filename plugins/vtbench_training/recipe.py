"""The recipe of the embedded model: everything that decides its weights, in one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from vtbench_training.loop import Schedule


@dataclass(frozen=True, slots=True)
class Sizes:
    """Shape of the model; the names are those of `vtbench_llava.build.build_llava`."""

    vision_hidden: int = 160
    vision_layers: int = 4
    vision_heads: int = 5
    hidden: int = 160
    layers: int = 6
    heads: int = 5
    kv_heads: int = 5
    intermediate: int = 320
    image_size: int = 112
    patch_size: int = 14

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of training, from where the one before left off."""

    kind: Literal["tower", "decoder"]
    """`tower`: the vision tower on dense labels. `decoder`: connector and decoder on answers, the tower frozen."""
    schedule: Schedule
    mix: Mapping[str, int]
    """Weight of each family's scenes."""


_FIRST = {"coarse": 2, "attribute": 2, "relational": 3, "scene_graph": 3}
_THEN = {"coarse": 3, "attribute": 2, "relational": 3, "scene_graph": 3, "occlusion": 2}
_ASKED = {"coarse": 1, "attribute": 2, "relational": 4, "scene_graph": 3}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes and stages. The second round adds scenes in which objects overlap."""

    sizes: Sizes = Sizes()
    seed: int = 0
    questions: int = 8
    """Most short questions that a picture is asked in a `decoder` stage."""
    graph_percent: int = 50
    """Share of pictures whose scene graph is asked for too."""
    stages: tuple[Stage, ...] = (
        Stage("tower", Schedule(steps=2400, rate=1e-3, batch_size=64), _FIRST),
        Stage("decoder", Schedule(steps=2200, rate=1e-3, batch_size=32, warmup=150), _ASKED),
        Stage("tower", Schedule(steps=1400, rate=4e-4, batch_size=64, warmup=60), _THEN),
        Stage("decoder", Schedule(steps=700, rate=4e-4, batch_size=32, warmup=50), {**_ASKED, "occlusion": 2}),
    )

    def scaled(self, factor: float) -> Recipe:
        """Return the recipe with every stage's steps times `factor` (for trying it out)."""

        def shorter(stage: Stage) -> Stage:
            steps = max(1, round(stage.schedule.steps * factor))
            warmup = min(stage.schedule.warmup, max(1, steps // 10))
            return replace(stage, schedule=replace(stage.schedule, steps=steps, warmup=warmup))

        return replace(self, stages=tuple(map(shorter, self.stages)))
