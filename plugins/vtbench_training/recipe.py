"""The recipes of the models that ship: everything that decides a model's weights, in one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from vtbench_training.loop import Schedule


@dataclass(frozen=True, slots=True)
class Sizes:
    """Shape of a small model; the names are those of `vtbench_llava.build.build_llava`."""

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
class QuerySizes(Sizes):
    """Shape of a model whose connector asks the patches a fixed number of queries."""

    queries: int = 32
    connector_layers: int = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of training, from where the one before left off."""

    kind: Literal["tower", "decoder", "captions", "pointing", "directions"]
    """`tower`: the vision tower on dense labels. `decoder`: the rest on answers, the tower frozen.
    `captions`: the same on captions alone. `pointing`: on captions, and on where the objects are that they name.
    `directions`: the same on captions that tell mostly which side of another an object lies on."""
    schedule: Schedule
    mix: Mapping[str, int]
    """Weight of each family's scenes."""


@dataclass(frozen=True, slots=True)
class TakenTower:
    """In the place of a `tower` stage: the vision tower of a finished model."""

    tower_of: str
    """Directory of a LLaVA checkpoint, or `embedded`: the model that ships, whose tower learned from dense labels
    alone and never saw a question or an answer."""


_FIRST = {"coarse": 2, "attribute": 2, "relational": 3, "scene_graph": 3}
_THEN = {"coarse": 3, "attribute": 2, "relational": 3, "scene_graph": 3, "occlusion": 2}
_ASKED = {"coarse": 1, "attribute": 2, "relational": 4, "scene_graph": 3}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes and stages. The second round adds scenes in which objects overlap."""

    sizes: Sizes = Sizes()
    seed: int = 0
    questions: int = 8
    """Most short questions that a picture is asked in a `decoder` stage; captions that it has in a `captions` one."""
    graph_percent: int = 50
    """Share of pictures whose scene graph is asked for too."""
    stages: tuple[Stage | TakenTower, ...] = (
        Stage("tower", Schedule(steps=2400, rate=1e-3, batch_size=64), _FIRST),
        Stage("decoder", Schedule(steps=2200, rate=1e-3, batch_size=32, warmup=150), _ASKED),
        Stage("tower", Schedule(steps=1400, rate=4e-4, batch_size=64, warmup=60), _THEN),
        Stage("decoder", Schedule(steps=700, rate=4e-4, batch_size=32, warmup=50), {**_ASKED, "occlusion": 2}),
    )

    def scaled(self, factor: float) -> Recipe:
        """Return the recipe with every stage's steps times `factor` (for trying it out)."""

        def shorter(stage: Stage | TakenTower) -> Stage | TakenTower:
            if isinstance(stage, TakenTower):
                return stage
            steps = max(1, round(stage.schedule.steps * factor))
            warmup = min(stage.schedule.warmup, max(1, steps // 10))
            return replace(stage, schedule=replace(stage.schedule, steps=steps, warmup=warmup))

        return replace(self, stages=tuple(map(shorter, self.stages)))


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(),
    "neutral": Recipe(
        graph_percent=0,
        stages=(
            TakenTower("embedded"),
            Stage(
                "captions",
                Schedule(steps=4000, rate=1.5e-3, batch_size=16, warmup=150, save_every=100),
                {"coarse": 1, "attribute": 2, "relational": 2, "scene_graph": 3},
            ),
            Stage(
                "pointing",
                Schedule(steps=1500, rate=1e-3, batch_size=16, warmup=100, save_every=100),
                {"coarse": 1, "attribute": 2, "relational": 3, "scene_graph": 3},
            ),
            Stage(
                "directions",
                Schedule(steps=800, rate=1e-3, batch_size=16, warmup=50, save_every=100),
                {"attribute": 1, "relational": 4, "scene_graph": 3},
            ),
        ),
    ),
}
"""By name: the model that answers, and the one that has been trained on no family (`vtbench study` starts from it)."""
SIZES: Mapping[str, Sizes] = {
    "llava": Sizes(),
    "flamingo": QuerySizes(layers=4),
    "fuyu": Sizes(vision_layers=0, hidden=192, layers=6, heads=6, kv_heads=6, intermediate=768),
    "idefics3": Sizes(),
    "internvl": Sizes(),
    "llava_next": Sizes(),
    "llava_onevision": Sizes(),
    "mllama": Sizes(vision_layers=3, layers=6),
    "paligemma": Sizes(),
    "qformer": QuerySizes(layers=4, connector_layers=2),
    "qwen2_vl": Sizes(layers=5),
}
"""Of each small model: about as many parameters in all."""
