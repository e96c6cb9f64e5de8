"""Items by index: the scene, the question as worded, and its answer.

An item is a pure function of (benchmark version, family, split, seed, index) and the settings: any worker can make any
slice, in any order, and gets the same items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vtbench.errors import TaskError
from vtbench.scenes.corruption import Corruption, corruption_of
from vtbench.scenes.family import Cluster, FamilySettings, SceneFamily
from vtbench.scenes.questions import Question
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.splits import OWNER, split_of

BENCHMARK = "vtb-1"
"""Version of the benchmark: it changes whenever any item of a family does under the same settings."""
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

    family: SceneFamily
    split: str
    seed: int
    settings: FamilySettings
    paraphrases: Mapping[str, Sequence[str]]
    """Texts by kind of question, with placeholders."""

    def __post_init__(self) -> None:
        # Members of a pair are requested one after the other: make their cluster once.
        object.__setattr__(self, "_cluster", lru_cache(maxsize=64)(self._make_cluster))

    @property
    def _stream(self) -> str:
        """The split whose random stream is used: `noise` and `background` have the items of `test`, modified."""
        return self.split if self.split == "comp" else OWNER.get(self.split, self.split)

    def item(self, index: int) -> Item:
        """Return item `index`, any non-negative integer.

        Raises:
            TaskError: no scene fits these settings.
        """
        number, position = divmod(index, self.family.members)
        cluster: Cluster = self._cluster(number)  # type: ignore[attr-defined]
        member = cluster[position]
        # Both members of a pair get the same paraphrase.
        texts = self.paraphrases[member.question.kind]
        text = HashRng("words", self.family.name, self._stream, self.seed, number).choice(texts)
        return Item(
            scene=member.scene,
            question=member.question,
            prompt=text.format(**member.question.slots),
            cluster=f"{self.family.name}/{self.split}/{self.seed}/{number}",
            meta=member.meta,
            corruption=corruption_of(number, self.seed) if self.split == "noise" else None,
        )

    def _make_cluster(self, number: int) -> Cluster:
        owner = OWNER.get(self.split, self.split)
        name = self.family.name
        for attempt in range(TRIES):
            rng = HashRng(BENCHMARK, name, self._stream, self.seed, number, attempt)
            cluster = self.family.build(self.settings, rng, number)
            if cluster is not None and all(split_of(member.scene) == owner for member in cluster):
                return cluster
        raise TaskError(
            f"family {name}, item {number}: no scene fits these settings in {TRIES} tries."
            " Use fewer or smaller objects, or smaller margins."
        )
