"""`coarse`: what kind of object is in the picture. One object; its shape goes round with the index."""

from __future__ import annotations

from vtbench.scenes.draws import Draws
from vtbench.scenes.families.plan import Draft, Member, Plan
from vtbench.scenes.place import make_background, make_thing, place_all
from vtbench.scenes.questions import ask_shape
from vtbench.scenes.scene import Scene


def build(plan: Plan, draws: Draws, number: int) -> Draft | None:
    """Return a scene with one object, its shape as the answer."""
    shape = plan.scene.shapes[number % len(plan.scene.shapes)]
    background = draws.choice(tuple(plan.scene.colours))
    pairs = [pair for pair in plan.pairs(asked=True, background=background) if pair[1] == shape]
    if not pairs:
        return None
    things = place_all(draws, plan.scene, [make_thing(draws, plan.scene, plan.look(draws, draws.choice(pairs)), 0)])
    if things is None:
        return None
    scene = Scene(make_background(draws, plan.scene, background), tuple(things))
    return (Member(scene, ask_shape(things[0], plan.scene)),)
