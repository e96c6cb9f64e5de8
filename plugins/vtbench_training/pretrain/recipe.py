"""Recipes of the models that ship: everything that decides a model's weights, in one frozen record.

Field names and values enter `recipe_digest`, which the cards of the shipped models state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from vtbench_training.small_models.sizes import SIZES, Sizes
from vtbench_training.training_loop import Schedule


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training; it starts from the weights that the stage before left."""

    kind: Literal["tower", "connector", "decoder", "captions", "pointing", "directions"]
    """`tower`: the vision tower on dense labels. `connector`: the connector on captions, tower and decoder frozen.
    `decoder`: all but the tower on answers. `captions`: the same on captions alone. `pointing`: on captions and the
    grounding head. `directions`: the same on captions that are mostly about on which side of another an object lies."""
    schedule: Schedule
    mix: Mapping[str, int]
    """Weight of each family's scenes."""


@dataclass(frozen=True, slots=True)
class InitialTower:
    """Instead of a `tower` stage: initialisation with the vision tower of a finished model."""

    tower_of: str
    """Directory of a LLaVA checkpoint, or `embedded`: the model that ships, whose tower was trained on dense labels
    alone and never saw a question or an answer."""


@dataclass(frozen=True, slots=True)
class PretrainedDecoder:
    """Instead of a random decoder: that of a causal language model, under a connector of random weights."""

    decoder: str
    """Directory of a causal language model with its tokenizer, a GGUF file, or a name on the hub."""
    lora: int = 0
    """Rank of the updates that train it; 0 trains all its weights."""


_FIRST = {"coarse": 2, "attribute": 2, "relational": 3, "scene_graph": 3}
_THEN = {"coarse": 3, "attribute": 2, "relational": 3, "scene_graph": 3, "occlusion": 2}
_ASKED = {"coarse": 1, "attribute": 2, "relational": 4, "scene_graph": 3}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes and stages. The second round adds scenes in which objects overlap."""

    sizes: Sizes = SIZES["llava"]
    seed: int = 0
    questions: int = 8
    """Most short questions about an image in a `decoder` stage; most captions in a caption stage."""
    graph_percent: int = 50
    """Percentage of images with the scene-graph question, too."""
    stages: tuple[Stage | InitialTower | PretrainedDecoder, ...] = (
        Stage("tower", Schedule(steps=2400, rate=1e-3, batch_size=64), _FIRST),
        Stage("decoder", Schedule(steps=2200, rate=1e-3, batch_size=32, warmup=150), _ASKED),
        Stage("tower", Schedule(steps=1400, rate=4e-4, batch_size=64, warmup=60), _THEN),
        Stage("decoder", Schedule(steps=700, rate=4e-4, batch_size=32, warmup=50), {**_ASKED, "occlusion": 2}),
    )

    def scaled(self, factor: float) -> Recipe:
        """Return the recipe with every stage's steps times `factor`, for a trial run."""

        def shorter(stage: Stage | InitialTower | PretrainedDecoder) -> Stage | InitialTower | PretrainedDecoder:
            if not isinstance(stage, Stage):
                return stage
            steps = max(1, round(stage.schedule.steps * factor))
            warmup = min(stage.schedule.warmup, max(1, steps // 10))
            return replace(stage, schedule=replace(stage.schedule, steps=steps, warmup=warmup))

        return replace(self, stages=tuple(map(shorter, self.stages)))

    @property
    def decoder(self) -> PretrainedDecoder | None:
        """The pretrained decoder; None where it begins with random weights."""
        return next((stage for stage in self.stages if isinstance(stage, PretrainedDecoder)), None)


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(),
    "neutral": Recipe(
        graph_percent=0,
        stages=(
            InitialTower("embedded"),
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
"""By name: the model that answers, and the one trained on no family, from which `vtbench study` starts."""


_DESCRIBED = {"coarse": 1, "attribute": 2, "relational": 2, "scene_graph": 3}
_CONNECTED = Stage("connector", Schedule(steps=600, rate=1e-3, batch_size=16, warmup=50, save_every=100), _DESCRIBED)


def decoder_recipe(name: str, decoder: str, lora: int = 0) -> Recipe:
    """Return the recipe of a LLaVA around a pretrained decoder, under the tower of the embedded model.

    The connector learns first, from captions, so that no gradient of its random weights reaches the decoder.

    Args:
        name: `default`, whose last stage is on questions, or `neutral`, all of whose stages are on captions.
        decoder: directory of a causal language model, a GGUF file, or a name on the hub.
        lora: rank of updates to it; 0 trains all its weights.
    """
    rate = 3e-4 if lora else 1e-4
    few = {"batch_size": 16, "warmup": 50, "save_every": 100}
    then: Mapping[str, tuple[Stage, ...]] = {
        "default": (Stage("decoder", Schedule(steps=1500, rate=rate, **few), _ASKED),),
        "neutral": (
            Stage("captions", Schedule(steps=900, rate=rate, **few), _DESCRIBED),
            Stage("directions", Schedule(steps=600, rate=rate, **few), {"relational": 4, "scene_graph": 3}),
        ),
    }
    return Recipe(
        graph_percent=RECIPES[name].graph_percent,
        stages=(PretrainedDecoder(decoder, lora), InitialTower("embedded"), _CONNECTED, *then[name]),
    )
