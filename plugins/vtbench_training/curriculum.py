"""Scene in, many questions about it out, worded, with the place of every object that they name.

A benchmark item asks one question; a training picture answers as many as it can, which is what makes the look-up from
words to places learnable in minutes. Everything asked is true by the same rules as in the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from string import Formatter

from vtbench.scenes import questions as ask
from vtbench.scenes.questions import Question
from vtbench.scenes.relations import depth_relations, direction, offset
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS, INVERSE, Scene, SceneObject
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings

LEAST_OFFSET = 0.005
"""Smallest offset, as a fraction of the canvas, that is asked about."""
GROUPS = {"bind": 6, "relate": 7, "offset": 3, "whole": 2}
"""How often each group of questions is drawn."""


@dataclass(frozen=True, slots=True)
class Named:
    """Where a question names an object: the end of the words (in characters) and the object's centre in [-1, 1]."""

    end: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Worded:
    """A question as the model reads it, its answer, and the objects it names."""

    prompt: str
    answer: str
    named: tuple[Named, ...] = ()
    """By the prompt."""
    told: tuple[Named, ...] = ()
    """By the answer."""


class Curriculum:
    """HashRng questions about scenes."""

    def __init__(self, wording: Mapping[str, Sequence[str]], rules: RelationSettings, spec: SceneSettings) -> None:
        self.wording, self.rules, self.spec = wording, rules, spec

    def questions(self, scene: Scene, draws: HashRng, count: int, graph_percent: int) -> list[Worded]:
        """Return up to `count` different short questions, and in `graph_percent` of all calls the scene graph too."""
        groups = self._askable(scene)
        turns = [name for name, weight in GROUPS.items() for _ in range(weight) if groups[name]]
        chosen = []
        for _ in range(count):
            pool = groups[draws.choice(turns)]
            if pool:
                chosen.append(pool.pop(draws.below(len(pool))))
        if draws.below(100) < graph_percent:
            chosen.append((Question("graph", ask.describe(scene, self.rules).text), {}))
        return [self._word(question, things, draws) for question, things in chosen]

    def _askable(self, scene: Scene) -> dict[str, list[tuple[Question, dict[str, SceneObject]]]]:
        spec, things = self.spec, scene.objects
        shapes = [t.shape for t in things]
        groups: dict[str, list[tuple[Question, dict[str, SceneObject]]]] = {name: [] for name in GROUPS}
        for thing in things:
            if shapes.count(thing.shape) == 1:
                groups["bind"] += [
                    (q, {"shape": thing}) for q in (ask.ask_colour(thing, spec), ask.ask_texture(thing, spec))
                ]
        groups["whole"].append((ask.ask_background(scene, spec), {}))
        if len(things) == 1:
            groups["whole"].append((ask.ask_shape(things[0], spec), {}))
        for a, b in permutations(things, 2):
            both = {"a": a, "b": b}
            for q in self._relations(a, b):
                groups["relate"].append((q, both))
            for axis, distance in zip("xy", offset(b, a), strict=True):
                if abs(distance) >= LEAST_OFFSET:
                    groups["offset"].append((ask.ask_offset(a, b, axis, positive=distance > 0), both))
        return groups

    def _relations(self, a: SceneObject, b: SceneObject) -> list[Question]:
        found = []
        word = direction(a, b, self.rules)
        if word:
            found += [
                ask.ask_where(a, b, word),
                ask.ask_holds(a, b, word, True),
                ask.ask_holds(a, b, INVERSE[word], False),
            ]
        front = depth_relations(a, b, self.rules)["front"]
        if front is not None:
            found += [ask.ask_holds(a, b, "front", front)] * 2
        return found

    def _word(self, question: Question, things: Mapping[str, SceneObject], draws: HashRng) -> Worded:
        template = draws.choice(self.wording[question.kind])
        prompt, places = "", []
        for text, slot, _, _ in Formatter().parse(template):
            prompt += text
            if slot:
                prompt += question.slots[slot]
                places.append(named(len(prompt), things[slot]))
        return Worded(prompt, question.target, tuple(places))


def named(end: int, thing: SceneObject) -> Named:
    """Return that words which end at `end` name a thing."""
    return Named(end, 2 * thing.cx / CANVAS - 1, 2 * thing.cy / CANVAS - 1)
