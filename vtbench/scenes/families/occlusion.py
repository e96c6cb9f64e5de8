"""`occlusion`: colour or texture of an object that another one partly hides, and the same with nothing hidden.

The two members of a pair have the same objects and the same question; in the second, the front object is moved away.
"""

from __future__ import annotations

from types import MappingProxyType

from vtbench.scenes.families.attribute import distractors, referent
from vtbench.scenes.families.relational import place_overlapping
from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilySettings, Member
from vtbench.scenes.placement import make_background, make_object, place_all
from vtbench.scenes.questions import ask_colour, ask_texture
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scoring.breakdown import BY, TWIN


class Occlusion(BaseSceneFamily):
    """Colour or texture of a partly hidden object."""

    name = "occlusion"
    members = 2
    kinds = MappingProxyType({"colour": 1, "texture": 1})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return an occluded scene and its unoccluded twin."""
        kind, turn = settings.turn(number)
        chosen = referent(settings, rng, kind, turn)
        if chosen is None:
            return None
        colour, target = chosen
        count = max(2, rng.between(settings.scene.min_objects, settings.scene.max_objects))
        others = distractors(settings, rng, colour, target, count - 1)
        if others is None:
            return None
        hidden, front, *rest = (make_object(rng, settings.scene, one, i) for i, one in enumerate([target, *others]))
        placed = place_overlapping(settings, rng, hidden, front)
        if placed is None:
            return None
        # No other object comes near the hidden one, so its visible part is what the front object leaves uncovered.
        hidden, front, visible = placed
        aside = place_all(rng, settings.scene, [front], [hidden])
        if aside is None:
            return None
        placed_rest = place_all(rng, settings.scene, rest, [hidden, front, *aside])
        if placed_rest is None:
            return None
        background = make_background(rng, settings.scene, colour)
        question = (ask_colour if kind == "colour" else ask_texture)(hidden, settings.scene)
        occluded = Scene(background, (hidden, front, *placed_rest))
        twin = Scene(background, (hidden, *aside, *placed_rest))
        seen = {"occluded": True, "visible": round(visible, 3)}
        return (
            Member(occluded, question, {**seen, BY: {"occlusion": "hidden"}, TWIN: {"occlusion": "clear"}}),
            Member(twin, question, {"occluded": False, "visible": 1.0, BY: {"occlusion": "clear"}}),
        )
