"""`coarse`: which kind of object is in the image. One object; its shape cycles with the index."""

from __future__ import annotations

from types import MappingProxyType

from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilySettings, Member
from vtbench.scenes.placement import make_background, make_object, place_all
from vtbench.scenes.questions import ask_shape
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene


class Coarse(BaseSceneFamily):
    """Shape of a single object."""

    name = "coarse"
    kinds = MappingProxyType({"shape": 1})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return a scene with one object, its shape as the answer."""
        shapes = settings.scene.shapes
        shape = shapes[number % len(shapes)]
        colour = rng.choice(settings.scene.background_words)
        pairs = [pair for pair in settings.pairs(referent=True, background=colour) if pair[1] == shape]
        if not pairs:
            return None
        appearance = settings.appearance(rng, rng.choice(pairs))
        objects = place_all(rng, settings.scene, [make_object(rng, settings.scene, appearance, 0)])
        if objects is None:
            return None
        scene = Scene(make_background(rng, settings.scene, colour), tuple(objects))
        return (Member(scene, ask_shape(objects[0], settings.scene)),)
