"""Draws a question's few-shot examples: from the split `train`, by a seed, balanced over answers."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vtbench.errors import SampleError, TaskError
from vtbench.scenes.rng import HashRng
from vtbench.scenes.splits import quantised
from vtbench.types import Sample, Task

POOL = 256
"""Examples are drawn from this many of the first samples of `train`."""
_KEPT = 64
"""Examples that are kept in memory with their images; a user's own may have some megabytes each."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What is known of a possible example without its images."""

    index: int
    target: str
    choices: tuple[str, ...]
    scene: frozenset[str]
    """What it shares with samples of the same scene."""


def _scene_of(sample: Sample) -> frozenset[str]:
    """Return what two samples of one scene share: cluster, scene or image."""
    images = {hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images}
    scene = {sample.scene_hash, quantised(sample.scene)} if sample.scene is not None else {sample.scene_hash}
    return frozenset({f"cluster {sample.cluster}" if sample.cluster else "", *scene, *images} - {""})


class ExamplePool:
    """The samples of `train` in a prompt format, of which each question gets `k`.

    Of a question's examples, as many as possible have its own choices, and no right answer occurs more than once more
    often than another. None shares the question's scene. Which they are depends on the seed and the question's cluster,
    so that the questions of a minimal pair have the same.

    Args:
        train: the split `train` of the task, in the format of the questions.
        k: number of examples.
        seed: of the choice.

    Raises:
        TaskError: `train` has fewer than `k` samples.
    """

    def __init__(self, train: Task, k: int, seed: int) -> None:
        if len(train) < k:
            raise TaskError(f"task {train.name!r} has {len(train)} samples to draw {k} few-shot examples from")
        self._train, self._k, self._seed = train, k, seed
        self._sample = lru_cache(maxsize=_KEPT)(train.sample)
        self._candidates: list[_Candidate] | None = None

    def describe(self) -> dict[str, Any]:
        """Return what decides which examples are drawn."""
        return {"k": self._k, "seed": self._seed, "pool": POOL, "train": self._train.config()}

    def draw(self, sample: Sample, image_size: int | None) -> tuple[Sample, ...]:
        """Return the examples of one question, in a random order.

        Raises:
            SampleError: too few samples of `train` show another scene than the question's.
        """
        rng = HashRng("fewshot", self._seed, sample.cluster or sample.id)
        shown = _scene_of(sample)
        chosen: list[_Candidate] = []
        others = [c for c in self._pool(image_size) if not c.scene & shown]
        alike = [c for c in others if c.choices == sample.choices]
        for part in (alike, [c for c in others if c.choices != sample.choices]):
            chosen += _balanced(part, self._k - len(chosen), rng, chosen)
        if len(chosen) < self._k:
            raise SampleError(f"{sample.id}: only {len(chosen)} of {self._k} few-shot examples show another scene")
        return tuple(self._sample(c.index, image_size) for c in rng.sample(chosen, len(chosen)))

    def _pool(self, image_size: int | None) -> list[_Candidate]:
        if self._candidates is None:
            found = []
            for index in range(min(POOL, len(self._train))):
                try:
                    sample = self._sample(index, image_size)
                except SampleError:
                    continue  # an unreadable row is no example
                found.append(_Candidate(index, sample.target, sample.choices, _scene_of(sample)))
            self._candidates = found
        return self._candidates


def _balanced(candidates: Sequence[_Candidate], k: int, rng: HashRng, chosen: Sequence[_Candidate]) -> list[_Candidate]:
    """Return up to `k` candidates of different scenes, their answers in turn."""
    by_answer: dict[str, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_answer[candidate.target].append(candidate)
    queues = [rng.sample(by_answer[answer], len(by_answer[answer])) for answer in sorted(by_answer)]
    queues = rng.sample(queues, len(queues))
    seen = set[str]().union(*(c.scene for c in chosen))
    found: list[_Candidate] = []
    while len(found) < k and any(queues):
        for queue in queues:
            while queue and queue[-1].scene & seen:
                queue.pop()
            if queue and len(found) < k:
                found.append(queue.pop())
                seen |= found[-1].scene
    return found
