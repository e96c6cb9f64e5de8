"""`scene_graph`: describe the scene. The number of objects cycles with the index, uniform over its range."""

from __future__ import annotations

from types import MappingProxyType

from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilySettings, Member
from vtbench.scenes.placement import make_background, make_object, place_all
from vtbench.scenes.questions import Question, describe
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene


def _of_one_word(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the (colour, shape) pairs whose words each fill one place of the answer's grammar."""
    return [pair for pair in pairs if " " not in pair[0] and " " not in pair[1]]


class SceneGraph(BaseSceneFamily):
    """The whole scene as one line of text."""

    name = "scene_graph"
    kinds = MappingProxyType({"graph": 1})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return a scene with its graph as the answer."""
        low, high = settings.scene.min_objects, settings.scene.max_objects
        count = low + number % (high - low + 1)
        background = rng.choice(settings.scene.background_words)
        first, others = (_of_one_word(settings.pairs(asked, background)) for asked in (True, False))
        if not first:
            return None
        pairs = [rng.choice(first)]
        common = [pair for pair in others if pair not in pairs]
        if len(common) < count - 1:
            return None
        pairs += rng.sample(common, count - 1)
        appearances = [settings.appearance(rng, pair) for pair in pairs]
        unplaced = [make_object(rng, settings.scene, one, i) for i, one in enumerate(appearances)]
        objects = place_all(rng, settings.scene, unplaced)
        if objects is None:
            return None
        scene = Scene(make_background(rng, settings.scene, background), tuple(objects))
        graph = describe(scene, settings.relations)
        meta = {"objects": count, "indeterminate": [list(pair) for pair in graph.indeterminate]}
        return (Member(scene, Question("graph", graph.text, answer_type="graph"), meta),)
