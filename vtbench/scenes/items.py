"""Settings and an index in, a finished item out: the scene, the worded question, the answer.

An item is a pure function of (benchmark version, family, split, seed, index) and the settings: any worker can make any
slice, in any order, and gets the same items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vtbench.errors import TaskError
from vtbench.scenes.corrupt import Corruption, corruption_of
from vtbench.scenes.draws import Draws
from vtbench.scenes.families import FAMILIES, MEMBERS, Draft, Plan
from vtbench.scenes.questions import Question
from vtbench.scenes.scene import Scene
from vtbench.scenes.splits import OWNER, split_of

BENCHMARK = "vtb-1"
"""Version of the benchmark: it changes whenever any item of any task does."""
TRIES = 4000


@dataclass(frozen=True, slots=True)
class Item:
    """One question about one scene."""

    scene: Scene
    question: Question
    prompt: str
    cluster: str
    meta: Mapping[str, Any]
    corruption: Corruption | None = None


@dataclass(frozen=True)
class ItemSource:
    """All items of one family, split and seed."""

    family: str
    split: str
    seed: int
    plan: Plan
    wording: Mapping[str, Sequence[str]]
    """Paraphrases by kind of question."""

    def __post_init__(self) -> None:
        # Members of a pair are asked for one after the other: make their cluster once.
        object.__setattr__(self, "_cluster", lru_cache(maxsize=64)(self._make_cluster))

    @property
    def _stream(self) -> str:
        """Whose draws the items take: `noise` and `background` share those of `test`, being its very items, changed."""
        return self.split if self.split == "comp" else OWNER.get(self.split, self.split)

    def item(self, index: int) -> Item:
        """Return item `index`; any non-negative integer has one.

        Raises:
            TaskError: the settings leave no room for such a scene.
        """
        number, place = divmod(index, MEMBERS.get(self.family, 1))
        draft: Draft = self._cluster(number)  # type: ignore[attr-defined]
        member = draft[place]
        cluster = f"{self.family}/{self.split}/{self.seed}/{number}"
        words = self.wording[member.question.kind]
        # Both members of a pair are asked in the same words.
        prompt = Draws("words", self.family, self._stream, self.seed, number).choice(words)
        return Item(
            scene=member.scene,
            question=member.question,
            prompt=prompt.format(**member.question.slots),
            cluster=cluster,
            meta=member.meta,
            corruption=corruption_of(number, self.seed) if self.split == "noise" else None,
        )

    def _make_cluster(self, number: int) -> Draft:
        owner = OWNER.get(self.split, self.split)
        build = FAMILIES[self.family]
        for attempt in range(TRIES):
            draft = build(self.plan, Draws(BENCHMARK, self.family, self._stream, self.seed, number, attempt), number)
            if draft is not None and all(split_of(member.scene) == owner for member in draft):
                return draft
        raise TaskError(
            f"family {self.family}, item {number}: no scene fits these settings in {TRIES} tries."
            " Use fewer or smaller objects, or smaller margins."
        )
