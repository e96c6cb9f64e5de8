"""What a family is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vtbench.scenes.draws import Draws
from vtbench.scenes.place import Look
from vtbench.scenes.questions import Question
from vtbench.scenes.scene import Scene
from vtbench.scenes.spec import RelationSpec, SceneSpec
from vtbench.scenes.splits import held_out


@dataclass(frozen=True, slots=True)
class Member:
    """One item of a cluster."""

    scene: Scene
    question: Question
    meta: Mapping[str, Any] = field(default_factory=dict)


Draft = tuple[Member, ...]
"""The items of one cluster: one, or the members of a minimal pair."""


@dataclass(frozen=True)
class Plan:
    """A family's settings."""

    scene: SceneSpec
    rules: RelationSpec
    kinds: Mapping[str, int]
    offsets: tuple[float, ...]
    """Offsets of `precise_offset`, in percent of the canvas."""
    comp: bool
    """Whether the object asked about has a colour and shape that no other split combines."""

    @cached_property
    def pattern(self) -> list[str]:
        """The order in which kinds take turns: each as often as its weight, spread out."""
        total = sum(self.kinds.values())
        turns = [
            ((i + 0.5) * total / weight, order, kind)
            for order, (kind, weight) in enumerate(self.kinds.items())
            for i in range(weight)
        ]
        return [kind for _, _, kind in sorted(turns)]

    def turn(self, number: int) -> tuple[str, int]:
        """Return the kind of cluster `number`, and how many clusters of this kind came before it."""
        rounds, place = divmod(number, len(self.pattern))
        kind = self.pattern[place]
        return kind, rounds * self.kinds[kind] + self.pattern[:place].count(kind)

    @cached_property
    def _pairs(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Colour-shape pairs that are used everywhere, and those kept for `comp`."""
        every: list[tuple[str, str]] = [(c, s) for c in self.scene.colours for s in self.scene.shapes]
        kept = [pair for pair in every if held_out(self.scene, *pair)]
        return [pair for pair in every if pair not in kept], kept

    def pairs(self, asked: bool, background: str) -> list[tuple[str, str]]:
        """Return the colour-shape pairs that an object may have on this background."""
        return self._pairs_on[asked and self.comp, background]

    @cached_property
    def _pairs_on(self) -> dict[tuple[bool, str], list[tuple[str, str]]]:
        return {
            (kept, background): [pair for pair in self._pairs[kept] if pair[0] != background]
            for kept in (False, True)
            for background in self.scene.colours
        }

    def look(self, draws: Draws, pair: tuple[str, str]) -> Look:
        """Return a look with this colour and shape, and a drawn texture and size."""
        colour, shape = pair
        return Look(shape, colour, draws.choice(self.scene.textures), draws.choice(tuple(self.scene.sizes)))
