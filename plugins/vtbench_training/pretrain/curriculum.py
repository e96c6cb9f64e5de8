"""Questions about a training scene, with their answers and the centre of every object that they mention.

A benchmark item has one question; a training image has as many as fit, which is what makes the look-up from words to
places learnable in minutes. Answers follow the same rules as in the benchmark.
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
"""Smallest offset, as a fraction of the canvas, for which an offset question is drawn."""
GROUPS = {"bind": 6, "relate": 7, "offset": 3, "whole": 2}
"""Weight of each group of questions."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention of an object in a text: where its words end (in characters), and the object's centre in [-1, 1]."""

    end: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class PromptAnswer:
    """A prompt, its answer, and the objects that they mention."""

    prompt: str
    answer: str
    mentions: tuple[Mention, ...] = ()
    """In the prompt."""
    answer_mentions: tuple[Mention, ...] = ()


class Curriculum:
    """Draws questions about scenes.

    Args:
        templates: paraphrases of every kind of question.
        rules: of relations.
        spec: of scenes.
    """

    def __init__(self, templates: Mapping[str, Sequence[str]], rules: RelationSettings, spec: SceneSettings) -> None:
        self.templates, self.rules, self.spec = templates, rules, spec

    def questions(self, scene: Scene, draws: HashRng, count: int, graph_percent: int) -> list[PromptAnswer]:
        """Return up to `count` different short questions, and in `graph_percent` % of calls the scene graph's, too."""
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

    def _word(self, question: Question, things: Mapping[str, SceneObject], draws: HashRng) -> PromptAnswer:
        template = draws.choice(self.templates[question.kind])
        prompt, mentions = "", []
        for text, slot, _, _ in Formatter().parse(template):
            prompt += text
            if slot:
                prompt += question.slots[slot]
                mentions.append(mention(len(prompt), things[slot]))
        return PromptAnswer(prompt, question.target, tuple(mentions))


def mention(end: int, thing: SceneObject) -> Mention:
    """Return the mention of a thing by words that end at character `end`."""
    return Mention(end, 2 * thing.cx / CANVAS - 1, 2 * thing.cy / CANVAS - 1)
