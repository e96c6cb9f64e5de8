"""`occlusion`: colour or texture of an object that another one partly hides, and the same with nothing hidden.

The two members of a pair have the same objects and the same question; in the second, the object in front stands aside.
"""

from __future__ import annotations

from dataclasses import replace

from vtbench.scenes.draws import Draws
from vtbench.scenes.families.attribute import distractors, subject
from vtbench.scenes.families.plan import Draft, Member, Plan
from vtbench.scenes.families.relational import overlapping
from vtbench.scenes.place import make_background, make_thing, place_all
from vtbench.scenes.questions import ask_colour, ask_texture
from vtbench.scenes.scene import Scene
from vtbench.scenes.truth import visible


def build(plan: Plan, draws: Draws, number: int) -> Draft | None:
    """Return an occluded scene and its twin."""
    kind, turn = plan.turn(number)
    chosen = subject(plan, draws, kind, turn)
    if chosen is None:
        return None
    background_word, look = chosen
    others = distractors(
        plan, draws, background_word, look, max(2, draws.between(plan.scene.min_objects, plan.scene.max_objects)) - 1
    )
    if others is None:
        return None
    hidden, cover, *rest = (make_thing(draws, plan.scene, item, i) for i, item in enumerate([look, *others]))
    both = overlapping(plan, draws, hidden, cover)
    if both is None:
        return None
    hidden, cover = replace(both[0], z=0), replace(both[1], z=1)
    aside = place_all(draws, plan.scene, [cover], [hidden])
    if aside is None:
        return None
    others_placed = place_all(draws, plan.scene, rest, [hidden, cover, *aside])
    if others_placed is None:
        return None
    background = make_background(draws, plan.scene, background_word)
    question = (ask_colour if kind == "colour" else ask_texture)(hidden, plan.scene)
    members = []
    for occluded, front in ((True, cover), (False, aside[0])):
        scene = Scene(background, (hidden, front, *others_placed))
        share = round(visible(scene)[hidden.id][0], 3) if occluded else 1.0
        members.append(Member(scene, question, {"occluded": occluded, "visible": share}))
    return tuple(members)
