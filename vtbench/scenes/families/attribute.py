"""`attribute`: colour or texture of the {shape}, or colour of the background.

Every other object has another shape, another colour and another texture than the one asked about, so knowing which
values occur is not enough: they must be bound to the shape.
"""

from __future__ import annotations

from dataclasses import replace

from vtbench.scenes.draws import Draws
from vtbench.scenes.families.plan import Draft, Member, Plan
from vtbench.scenes.place import Look, make_background, make_thing, place_all
from vtbench.scenes.questions import ask_background, ask_colour, ask_texture
from vtbench.scenes.scene import Scene


def subject(plan: Plan, draws: Draws, kind: str, turn: int) -> tuple[str, Look] | None:
    """Return the background's colour and the look of the object asked about, the answer read off the turn."""
    colours, textures = tuple(plan.scene.colours), plan.scene.textures
    background = colours[turn % len(colours)] if kind == "background" else draws.choice(colours)
    pairs = plan.pairs(asked=True, background=background)
    if kind == "colour":
        pairs = [pair for pair in pairs if pair[0] == colours[turn % len(colours)]]
    if not pairs:
        return None
    look = plan.look(draws, draws.choice(pairs))
    return background, replace(look, texture=textures[turn % len(textures)]) if kind == "texture" else look


def distractors(plan: Plan, draws: Draws, background: str, look: Look, count: int) -> list[Look] | None:
    """Return looks that differ from `look` in shape, colour and (given a choice) texture; no shape occurs twice."""
    others: list[Look] = []
    for _ in range(count):
        taken = {look.shape} | {o.shape for o in others}
        pairs = [p for p in plan.pairs(asked=False, background=background) if p[1] not in taken and p[0] != look.colour]
        if not pairs:
            return None
        textures = [t for t in plan.scene.textures if t != look.texture] or list(plan.scene.textures)
        others.append(replace(plan.look(draws, draws.choice(pairs)), texture=draws.choice(textures)))
    return others


def build(plan: Plan, draws: Draws, number: int) -> Draft | None:
    """Return a scene of several objects and a question about one of them, or about the background."""
    kind, turn = plan.turn(number)
    chosen = subject(plan, draws, kind, turn)
    if chosen is None:
        return None
    background, look = chosen
    count = draws.between(plan.scene.min_objects, plan.scene.max_objects)
    others = distractors(plan, draws, background, look, count - 1)
    if others is None:
        return None
    # The one asked about has no fixed place in the drawing order.
    looks = draws.sample([look, *others], count)
    things = place_all(draws, plan.scene, [make_thing(draws, plan.scene, item, i) for i, item in enumerate(looks)])
    if things is None:
        return None
    scene = Scene(make_background(draws, plan.scene, background), tuple(things))
    thing = things[looks.index(look)]
    question = {
        "colour": lambda: ask_colour(thing, plan.scene),
        "texture": lambda: ask_texture(thing, plan.scene),
        "background": lambda: ask_background(scene, plan.scene),
    }[kind]()
    return (Member(scene, question),)
