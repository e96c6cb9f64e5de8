"""The protocol of scene families: (settings, rng, number) -> the scenes of one cluster, with their questions.

A family decides what a scene shows and what is asked about it. A plugin brings families with the hook
`vtbench_scene_families`, which returns factories by name; the built-in ones come the same way. A task file names one
under `family:`. There is no global registry: the code that loads a task passes the factories that it may name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from vtbench.errors import TaskError, nearest
from vtbench.scenes.placement import Appearance
from vtbench.scenes.questions import Question
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings
from vtbench.scenes.splits import held_out


@dataclass(frozen=True, slots=True)
class Member:
    """One item of a cluster."""

    scene: Scene
    question: Question
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for metrics and reports, JSON-able."""


Cluster = tuple[Member, ...]
"""The items that belong together: a single one, or the members of a minimal pair."""


@dataclass(frozen=True)
class FamilySettings:
    """What a task file sets for its family."""

    scene: SceneSettings
    relations: RelationSettings
    kinds: Mapping[str, int]
    """Weights of the kinds of question, all above 0."""
    offsets: tuple[float, ...]
    """Offsets of `precise_offset`, in percent of the canvas."""
    comp: bool
    """Whether the object asked about has a colour-shape pair that no other split uses (compositional split)."""

    @cached_property
    def kind_order(self) -> list[str]:
        """One round of kinds: each occurs as often as its weight, at even distances."""
        total = sum(self.kinds.values())
        turns = [
            ((i + 0.5) * total / weight, order, kind)
            for order, (kind, weight) in enumerate(self.kinds.items())
            for i in range(weight)
        ]
        return [kind for _, _, kind in sorted(turns)]

    def turn(self, number: int) -> tuple[str, int]:
        """Return the kind of cluster `number`, and how many clusters of this kind came before it."""
        rounds, position = divmod(number, len(self.kind_order))
        kind = self.kind_order[position]
        return kind, rounds * self.kinds[kind] + self.kind_order[:position].count(kind)

    def pairs(self, referent: bool, background: str) -> list[tuple[str, str]]:
        """Return the (colour, shape) pairs that an object may have on a background of this colour.

        Args:
            referent: whether it is the object asked about; in the `comp` split, this one has a held-out pair.
            background: colour of the background, or what its photograph shows.
        """
        return self._pairs_by_background[referent and self.comp, background]

    @cached_property
    def _pairs_by_background(self) -> dict[tuple[bool, str], list[tuple[str, str]]]:
        scene = self.scene
        pairs = [(colour, shape) for colour in scene.colours for shape in scene.shapes]
        found = {}
        for background in scene.background_words:
            alike = scene.colours_like(background)
            seen = [pair for pair in pairs if pair[0] not in alike]
            for comp in (False, True):
                found[comp, background] = [pair for pair in seen if held_out(scene, *pair) is comp]
        return found

    @cached_property
    def _sizes(self) -> tuple[str, ...]:
        return tuple(self.scene.sizes)

    def appearance(self, rng: HashRng, pair: tuple[str, str]) -> Appearance:
        """Return an appearance with this colour and shape, and a random texture and size."""
        colour, shape = pair
        return Appearance(shape, colour, rng.choice(self.scene.textures), rng.choice(self._sizes))


class SceneFamily(Protocol):
    """A family of scenes and questions.

    Balanced factors (kind of question, answer, number of objects) must be a function of the cluster's number, never
    random, so that any contiguous slice of a task is balanced. Everything else is drawn from the given `rng` only, so
    that equal arguments give equal clusters on any machine.
    """

    @property
    def name(self) -> str:
        """Part of the random stream's key and of cluster names: it must not change once items are published."""
        ...

    @property
    def members(self) -> int:
        """Items per cluster: 2 for minimal pairs, else 1."""
        ...

    @property
    def kinds(self) -> Mapping[str, int]:
        """Kinds of question that it can ask, with their default weights."""
        ...

    @property
    def placeholders(self) -> Mapping[str, tuple[str, ...]]:
        """Placeholders that a text for a kind of question must have, for kinds that `questions.SLOTS` does not list."""
        ...

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return cluster `number`, or None if this attempt failed: another follows, with another stream.

        A cluster whose scenes do not all belong to the task's split is discarded in the same way.
        """
        ...


class BaseSceneFamily:
    """Defaults for a family: single items, and only kinds of question that `questions.SLOTS` lists."""

    members: int = 1
    placeholders: Mapping[str, tuple[str, ...]] = MappingProxyType({})


FamilyFactory = Callable[[], SceneFamily]
"""The first line of its docstring is the family's summary."""


def create_family(name: str, families: Mapping[str, FamilyFactory]) -> SceneFamily:
    """Return the family that a task file names.

    Args:
        name: as the task file has it.
        families: factories by name, as the hook `vtbench_scene_families` returns them.

    Raises:
        TaskError: no family has this name.
    """
    if name not in families:
        raise TaskError(f"there is no scene family {name!r}.{nearest(name, list(families), 'vtbench ls families')}")
    return families[name]()
