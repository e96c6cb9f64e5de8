"""Captions of a scene: one to four free sentences, with the words in them that only the image tells.

They train and test a model that describes images without having been asked anything. They mention objects with some or
all of their attributes in many word orders, the background, the count, which object is next to which and, on demand, on
which side of another object one lies. Nothing is worded as a question, an answer or a scene graph of the benchmark:
there is no yes or no, and the scene graph's order of attributes never occurs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from string import Formatter

from vtbench.scenes.relations import direction
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene, SceneObject
from vtbench.scenes.scene_settings import RelationSettings
from vtbench_training.pretrain.curriculum import Mention, mention

PROMPTS = (
    "Describe the picture.",
    "Describe this picture.",
    "Describe the picture, please.",
    "Write a caption.",
    "A caption, please.",
)
"""Prompts to which a caption is the answer."""
NOUNS = (
    "a {shape}",
    "a {colour} {shape}",
    "a {size} {shape}",
    "a {texture} {shape}",
    "a {size} {colour} {shape}",
    "a {texture} {colour} {shape}",
    "a {size} {texture} {colour} {shape}",
    "a {shape} in {colour}",
    "a {texture} {shape} in {colour}",
    "a {size} {shape} that is {colour} and {texture}",
    "a {colour} {shape} that is {texture}",
    "a {shape}, {texture} and {colour}",
    "a {shape} which is {size}",
    "a {colour} object, a {texture} {shape}",
    "a {size} object, a {colour} {shape}",
)
"""An object mentioned for the first time."""
LISTS = (
    "a picture of {things}",
    "there is {things}",
    "the picture has {things}",
    "here is {things}",
    "{things} on {background}",
    "{things} in the picture",
    "a scene of {things} on a {background} background",
    "on {background} there is {things}",
    "a picture of {count} objects, among them {things}",
)
"""Sentences that list objects."""
DETAILS = (
    "the {shape} is {colour}",
    "the {shape} is {texture}",
    "the {shape} is {size}",
    "the {shape} is {colour} and {texture}",
    "the {shape} is {texture} and {size}",
    "the {shape} has a {texture} texture in {colour}",
    "the {colour} object is a {shape}",
    "the {colour} object is {texture}",
    "the {colour} {shape} is {texture}",
    "the {colour} {shape} is {size}",
    "the {texture} object is {colour}",
    "the {texture} object is a {shape}",
)
"""Sentences about an object that their first words identify."""
NEIGHBOURS = ("the {shape} is next to {neighbour}", "next to the {shape} there is {neighbour}")
DIRECTIONS = (
    "compared with the {b}, the {a} is {word}",
    "take the {b}, then the {a}: {word}",
    "the {a} and the {b}, the first {word}",
)
"""Sentences about two objects that their words identify; the direction comes last, when both are known."""
SIDES: Mapping[str, Sequence[str]] = {
    "left": ("left", "further left", "on the left"),
    "right": ("right", "further right", "on the right"),
    "above": ("above", "higher", "at the top"),
    "below": ("below", "lower", "at the bottom"),
}
WHOLES = (
    "the background is {background}",
    "it is all on {background}",
    "a {background} picture",
    "there are {count} objects",
    "the picture has {count} objects",
)
"""Sentences about the whole image."""
CUES = ("shape", "colour", "texture", "size", "background", "count", "neighbour", "direction")
"""What a word of a caption tells of the image. `neighbour`: any word about the object next to a mentioned one.
`direction`: on which side of another object one lies."""


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word that says, for the first time in its caption, something that only the image tells."""

    end: int
    """Character at which it ends."""
    cue: str
    certain: bool
    """Whether image and earlier words leave only this word: of two objects either could be mentioned first."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with its cue words and mentions of objects."""

    text: str
    cues: tuple[CueWord, ...]
    mentions: tuple[Mention, ...] = ()
    """Objects that its words identify, in its order."""


def caption(scene: Scene, seed: int, directions: bool = False) -> Caption:
    """Return a caption of one to four sentences, a pure function of scene and seed.

    Args:
        scene: what it is about.
        seed: of the words.
        directions: whether most sentences are about on which side of another an object lies.
    """
    draws = HashRng("caption", scene.hash, seed)
    writer = _Writer(scene)
    sentences = [_list, _detail, _neighbour, _whole, _direction]
    turns = (0, 1, 2, 3, *[4] * 8) if directions else (0, 0, 1, 1, 1, 2, 2, 3)
    for turn in draws.sample(turns, draws.between(2, 4)):
        sentences[turn](writer, draws)
    if not writer.sentences:  # none of them had anything to say
        _list(writer, draws)
    return Caption(". ".join(writer.sentences), tuple(writer.cues), tuple(writer.mentions))


@dataclass
class _Writer:
    """A caption under construction."""

    scene: Scene
    sentences: list[str] = field(default_factory=list)
    cues: list[CueWord] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    stated: set[tuple[int | str, str]] = field(default_factory=set)
    listed: set[int] = field(default_factory=set)

    def begin(self) -> None:
        self.sentences.append("")

    def write(self, text: str) -> None:
        self.sentences[-1] += text

    def word(self, word: str, cue: str, subject: int | str, certain: bool, about: str) -> None:
        """Write a word that states `about` of `subject`, and record it as `cue` unless that has been stated."""
        text = self.sentences[-1]
        if word[0] in "aeiou" and (text == "a " or text.endswith(" a ")):
            self.sentences[-1] = f"{text[:-1]}n "
        self.write(word)
        if (subject, about) not in self.stated:
            self.stated.add((subject, about))
            self.cues.append(CueWord(self.end(), cue, certain))

    def end(self) -> int:
        """Return where the caption ends so far, in characters."""
        return len(". ".join(self.sentences))

    def whole(self, slot: str) -> None:
        """Write the background's colour, or how many objects there are."""
        value = self.scene.background.colour if slot == "background" else str(len(self.scene.objects))
        self.word(value, slot, "image", True, slot)

    def thing(self, template: str, thing: SceneObject, pool: Sequence[SceneObject], neighbour: bool = False) -> None:
        """Write about a thing that could, as far as a reader knows, be any of `pool`."""
        meant = list(self.scene.objects)
        for text, slot, _, _ in Formatter().parse(template):
            self.write(text)
            if slot:
                value = getattr(thing, slot)
                certain = len({getattr(other, slot) for other in pool}) == 1
                self.word(value, "neighbour" if neighbour else slot, thing.id, certain, slot)
                pool = [other for other in pool if getattr(other, slot) == value]
                meant = [other for other in meant if getattr(other, slot) == value]
        if len(meant) == 1:
            self.mentions.append(mention(self.end(), thing))


def _list(writer: _Writer, draws: HashRng) -> None:
    things = [thing for thing in writer.scene.objects if thing.id not in writer.listed]
    if not things:
        return
    writer.begin()
    chosen = draws.sample(things, draws.between(1, len(things)))
    for text, slot, _, _ in Formatter().parse(draws.choice(LISTS if len(writer.scene.objects) > 1 else LISTS[:-1])):
        writer.write(text)
        if slot == "things":
            for place, thing in enumerate(chosen):
                writer.write("" if not place else " and " if place == len(chosen) - 1 else ", ")
                left = [t for t in writer.scene.objects if t.id not in writer.listed]
                writer.thing(draws.choice(NOUNS), thing, left)
                writer.listed.add(thing.id)
        elif slot:
            writer.whole(slot)


def _detail(writer: _Writer, draws: HashRng) -> None:
    things = writer.scene.objects
    thing, template = draws.choice(things), draws.choice(DETAILS)
    subject, says = _slots(template.split(" is ")[0].split(" has ")[0]), _slots(template)
    alone = sum(all(getattr(t, slot) == getattr(thing, slot) for slot in subject) for t in things) == 1
    if alone and any((thing.id, slot) not in writer.stated for slot in says[len(subject) :]):
        writer.begin()
        writer.thing(template, thing, things)


def _neighbour(writer: _Writer, draws: HashRng) -> None:
    things = writer.scene.objects
    thing = draws.choice(things)
    others = sorted(
        (t for t in things if t is not thing), key=lambda t: (t.cx - thing.cx) ** 2 + (t.cy - thing.cy) ** 2
    )
    if others and all(t.shape != thing.shape for t in others):
        writer.begin()
        before, after = draws.choice(NEIGHBOURS).split("{neighbour}")
        writer.thing(before, thing, things)
        writer.thing(draws.choice(NOUNS) + after, others[0], others[:1], neighbour=True)


def _direction(writer: _Writer, draws: HashRng) -> None:
    pairs = [
        (a, b, word) for a, b in permutations(writer.scene.objects, 2) if (word := direction(a, b, RelationSettings()))
    ]
    if not pairs:
        return
    a, b, word = draws.choice(pairs)
    names = {"a": _identifying(a, writer.scene, draws), "b": _identifying(b, writer.scene, draws)}
    if not all(names.values()):
        return
    writer.begin()
    for text, slot, _, _ in Formatter().parse(draws.choice(DIRECTIONS)):
        writer.write(text)
        if slot == "word":
            said = draws.choice(SIDES[word])
            writer.write(said)
            if said.endswith(word):  # "higher" and "at the top" could both be said of one above
                writer.cues.append(CueWord(writer.end(), "direction", certain=True))
        elif slot:
            writer.thing(names[slot], {"a": a, "b": b}[slot], writer.scene.objects)


def _identifying(thing: SceneObject, scene: Scene, draws: HashRng) -> str:
    """Return a template that identifies a thing, often the shortest one; an empty text where there is none."""
    for template in draws.sample(("{shape}", "{colour} {shape}", "{colour} {shape}", "{texture} {colour} {shape}"), 4):
        slots = _slots(template)
        if sum(all(getattr(t, slot) == getattr(thing, slot) for slot in slots) for t in scene.objects) == 1:
            return template
    return ""


def _whole(writer: _Writer, draws: HashRng) -> None:
    template = draws.choice(WHOLES if len(writer.scene.objects) > 1 else WHOLES[:3])
    writer.begin()
    for text, slot, _, _ in Formatter().parse(template):
        writer.write(text)
        if slot:
            writer.whole(slot)


def _slots(template: str) -> list[str]:
    return [slot for _, slot, _, _ in Formatter().parse(template) if slot]
