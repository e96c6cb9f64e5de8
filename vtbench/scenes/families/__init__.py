"""The task families: settings, draws and an index in, a scene and its question out.

Each family is one function `build(plan, draws, number) -> Draft | None`; None asks for another try with other draws.
What must be balanced (kinds, answers, counts) is read off the number, never drawn, so it is flat in every slice.
"""

from __future__ import annotations

from collections.abc import Callable

from vtbench.scenes.draws import Draws
from vtbench.scenes.families import attribute, coarse, occlusion, precise_offset, relational, scene_graph
from vtbench.scenes.families.plan import Draft, Plan

Build = Callable[[Plan, Draws, int], Draft | None]

FAMILIES: dict[str, Build] = {
    "coarse": coarse.build,
    "attribute": attribute.build,
    "relational": relational.build,
    "scene_graph": scene_graph.build,
    "precise_offset": precise_offset.build,
    "occlusion": occlusion.build,
}
MEMBERS: dict[str, int] = {"relational": 2, "precise_offset": 2, "occlusion": 2}
"""How many items share one cluster (a minimal pair); 1 for families not named."""
KINDS: dict[str, dict[str, int]] = {
    "coarse": {"shape": 1},
    "attribute": {"colour": 2, "texture": 2, "background": 1},
    "relational": {"left": 1, "above": 1, "where": 2, "right": 1, "below": 1, "front": 1},
    "scene_graph": {"graph": 1},
    "precise_offset": {"offset_x": 1, "offset_y": 1},
    "occlusion": {"colour": 1, "texture": 1},
}
"""The kinds of question that each family can ask, with the weights it has by default."""

__all__ = ["FAMILIES", "KINDS", "MEMBERS", "Build", "Draft", "Plan"]
