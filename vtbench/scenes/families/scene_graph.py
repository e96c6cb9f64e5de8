"""`scene_graph`: describe the scene. The number of objects goes round with the index, flat over its range."""

from __future__ import annotations

from vtbench.scenes.draws import Draws
from vtbench.scenes.families.plan import Draft, Member, Plan
from vtbench.scenes.place import make_background, make_thing, place_all
from vtbench.scenes.questions import Question, describe
from vtbench.scenes.scene import Scene


def build(plan: Plan, draws: Draws, number: int) -> Draft | None:
    """Return a scene and its graph as the answer."""
    low, high = plan.scene.min_objects, plan.scene.max_objects
    count = low + number % (high - low + 1)
    background = draws.choice(tuple(plan.scene.colours))
    chosen = [draws.choice(plan.pairs(asked=True, background=background))]
    common = [p for p in plan.pairs(asked=False, background=background) if p not in chosen]
    if len(common) < count - 1:
        return None
    chosen += draws.sample(common, count - 1)
    looks = [plan.look(draws, pair) for pair in chosen]
    things = place_all(draws, plan.scene, [make_thing(draws, plan.scene, look, i) for i, look in enumerate(looks)])
    if things is None:
        return None
    scene = Scene(make_background(draws, plan.scene, background), tuple(things))
    graph = describe(scene, plan.rules)
    meta = {"objects": count, "indeterminate": [list(pair) for pair in graph.indeterminate]}
    return (Member(scene, Question("graph", graph.text), meta),)
