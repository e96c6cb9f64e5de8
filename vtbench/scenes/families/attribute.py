"""`attribute`: colour or texture of the {shape}, or colour of the background.

Every distractor has another shape, another colour and another texture than the referent, so knowing which values occur
is not enough: they must be bound to the shape.
"""

from __future__ import annotations

from types import MappingProxyType

from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilySettings, Member
from vtbench.scenes.placement import Appearance, make_background, make_object, place_all
from vtbench.scenes.questions import ask_background, ask_colour, ask_texture
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene


def referent(settings: FamilySettings, rng: HashRng, kind: str, turn: int) -> tuple[str, Appearance] | None:
    """Return the background's colour and the appearance of the object asked about; `turn` decides the answer."""
    colours, textures = tuple(settings.scene.colours), settings.scene.textures
    backgrounds = settings.scene.background_words
    background = backgrounds[turn % len(backgrounds)] if kind == "background" else rng.choice(backgrounds)
    pairs = settings.pairs(referent=True, background=background)
    if kind == "colour":
        answer = colours[turn % len(colours)]
        pairs = [pair for pair in pairs if pair[0] == answer]
    if not pairs:
        return None
    chosen = settings.appearance(rng, rng.choice(pairs))
    if kind == "texture":
        chosen = Appearance(chosen.shape, chosen.colour, textures[turn % len(textures)], chosen.size)
    return background, chosen


def distractors(
    settings: FamilySettings, rng: HashRng, background: str, target: Appearance, count: int
) -> list[Appearance] | None:
    """Return appearances that differ from `target` in shape, colour and texture; no shape occurs twice.

    With a single texture in the settings, they share it.
    """
    common = settings.pairs(referent=False, background=background)
    textures = [texture for texture in settings.scene.textures if texture != target.texture]
    textures = textures or list(settings.scene.textures)
    pairs = [pair for pair in common if pair[1] != target.shape and pair[0] != target.colour]
    others: list[Appearance] = []
    for _ in range(count):
        if not pairs:
            return None
        other = settings.appearance(rng, rng.choice(pairs))
        others.append(Appearance(other.shape, other.colour, rng.choice(textures), other.size))
        pairs = [pair for pair in pairs if pair[1] != other.shape]
    return others


class Attribute(BaseSceneFamily):
    """Colour or texture of one object among others, or colour of the background."""

    name = "attribute"
    kinds = MappingProxyType({"colour": 2, "texture": 2, "background": 1})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return a scene of several objects and a question about one of them, or about the background."""
        kind, turn = settings.turn(number)
        chosen = referent(settings, rng, kind, turn)
        if chosen is None:
            return None
        background, target = chosen
        count = rng.between(settings.scene.min_objects, settings.scene.max_objects)
        others = distractors(settings, rng, background, target, count - 1)
        if others is None:
            return None
        # The referent has no fixed position in the drawing order.
        appearances = rng.sample([target, *others], count)
        unplaced = [make_object(rng, settings.scene, one, i) for i, one in enumerate(appearances)]
        objects = place_all(rng, settings.scene, unplaced)
        if objects is None:
            return None
        scene = Scene(make_background(rng, settings.scene, background), tuple(objects))
        asked = objects[appearances.index(target)]
        if kind == "background":
            question = ask_background(scene, settings.scene)
        else:
            question = (ask_colour if kind == "colour" else ask_texture)(asked, settings.scene)
        return (Member(scene, question),)
