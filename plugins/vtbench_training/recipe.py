"""The recipe of the embedded model: everything that decides its weights, in one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
class Recipe:
    """Sizes, data and schedules of the three stages."""

    sizes: Sizes = Sizes()
    seed: int = 0
    tower_mix: Mapping[str, int] = field(
        default_factory=lambda: {"coarse": 3, "attribute": 2, "relational": 3, "scene_graph": 3, "occlusion": 2}
    )
    """Weight of each family's scenes in stage 1 ..."""
    answer_mix: Mapping[str, int] = field(
        default_factory=lambda: {"coarse": 1, "attribute": 2, "relational": 4, "scene_graph": 3, "occlusion": 2}
    )
    """... and in stages 2 and 3. `occlusion` is where objects overlap, without which "in front of" is hardly seen."""
    questions: int = 8
    """Most short questions a picture."""
    graph_percent: int = 50
    """Share of pictures whose scene graph is asked for too."""
    tower: Schedule = field(default_factory=lambda: Schedule(steps=2400, rate=1e-3, batch_size=64))
    """Stage 1: the vision tower on dense labels."""
    decoder: Schedule = field(default_factory=lambda: Schedule(steps=2200, rate=1e-3, batch_size=32, warmup=150))
    """Stage 2: connector and decoder, the tower frozen."""
    joint: Schedule = field(default_factory=lambda: Schedule(steps=650, rate=1e-4, batch_size=32, warmup=60))
    """Stage 3: everything, at a smaller rate."""

    def scaled(self, factor: float) -> Recipe:
        """Return the recipe with every stage's steps times `factor` (for trying it out)."""

        def shorter(schedule: Schedule) -> Schedule:
            steps = max(1, round(schedule.steps * factor))
            return replace(schedule, steps=steps, warmup=min(schedule.warmup, max(1, steps // 10)))

        return replace(self, tower=shorter(self.tower), decoder=shorter(self.decoder), joint=shorter(self.joint))
