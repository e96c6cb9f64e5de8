"""Samples in, answers of the symbolic controls out. Ranking puts most of a reader's belief on the word that it says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.errors import AdapterError, SampleError
from vtbench.scoring.normalise import parse_answer
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_controls.reading import read
from vtbench_controls.swap import Swap


def believe(answer: str | None, choices: Sequence[str]) -> tuple[float, ...]:
    """Return log-probabilities of the choices: half of it all on the answer, the rest even; all even without one.

    >>> [round(math.exp(p), 3) for p in believe("no", ("yes", "no"))]
    [0.25, 0.75]
    """
    chosen = parse_answer(answer, choices)
    even = 1 / max(len(choices), 1)
    if chosen is None:
        return (math.log(even),) * len(choices)
    return tuple(math.log(even / 2 + (0.5 if choice == chosen else 0.0)) for choice in choices)


SOME_SCENE = "1 large red solid circle ; 2 small blue striped square | 1 above 2"
"""What a reader says of a scene that it knows nothing of: the floor of the scene-graph scores."""


def guess(sample: Sample) -> str:
    """Return one of the choices by a hash of the question: the same question always gets the same answer.

    Where the answer is open, it is a scene graph of no scene in particular.
    """
    if not sample.choices:
        return SOME_SCENE
    bits = hashlib.blake2b(sample.prompt.encode(), digest_size=8).digest()
    return sample.choices[int.from_bytes(bits, "big") % len(sample.choices)]


class Reader:
    """A control that answers by rule. Subclasses say what."""

    capabilities: frozenset[Capability] = frozenset({"generate", "rank"})
    image_size: int | None = None
    layers: tuple[str, ...] = ()

    def answer(self, sample: Sample) -> str:
        """Return what this control says."""
        raise NotImplementedError

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer in words."""
        return [Output(text=self.answer(sample)) for sample in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Believe in the same answer; every choice counts as one token."""
        return [
            Output(logprobs=believe(self.answer(sample), sample.choices), logprob_tokens=(1,) * len(sample.choices))
            for sample in samples
        ]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Refuse: a control has none."""
        raise AdapterError(f"{type(self).__name__} has no visual tokens; leave out the metrics that need them.")

    def describe(self) -> Mapping[str, Any]:
        """Name the control."""
        return {"checkpoint": f"control:{type(self).__name__}", "parameters": 0, "device": "cpu"}

    def close(self) -> None:
        """Nothing to give back."""


class Oracle(Reader):
    """Reads the scene."""

    def answer(self, sample: Sample) -> str:
        """Return the truth.

        Raises:
            SampleError: there is no scene behind the picture, or the question is worded in a way it cannot read.
        """
        if sample.scene is None:
            raise SampleError(f"{sample.id}: the oracle reads synthetic scenes, and this picture has none behind it.")
        said = read(sample.prompt, sample.scene)
        if said is None:
            raise SampleError(f"{sample.id}: the oracle cannot read the question {sample.prompt!r}.")
        return said


class BagOfObjects(Reader):
    """Knows every object, but neither places nor drawing order."""

    def answer(self, sample: Sample) -> str:
        """Return what the objects alone tell, else a guess."""
        said = read(sample.prompt, sample.scene, places=False) if sample.scene else None
        return said or guess(sample)


class Blind(Reader):
    """Has only the question."""

    def answer(self, sample: Sample) -> str:
        """Return a guess that is fixed by the question."""
        return guess(sample)


class Majority(Reader):
    """Has one answer for each set of choices."""

    def answer(self, sample: Sample) -> str:
        """Return the first choice: where answers are flat, as good as the most frequent one."""
        return sample.choices[0] if sample.choices else SOME_SCENE


class Shuffled(Reader):
    """Reads the scene of another sample."""

    def __init__(self, swap: Swap) -> None:
        self._swap = swap

    def answer(self, sample: Sample) -> str:
        """Return what the question's answer would be there, else a guess."""
        other = self._swap(sample).scene
        said = read(sample.prompt, other) if other else None
        return said or guess(sample)
