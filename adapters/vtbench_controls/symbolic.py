"""Symbolic controls: adapters that answer by rule from a sample's scene or question, never from its images."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.adapter import PLAIN, Traits
from vtbench.errors import AdapterError, SampleError
from vtbench.scenes.scene_settings import COLOURS, colour_difference
from vtbench.scoring.choices import parse_answer
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_controls.perturbation import SwappedImages
from vtbench_controls.question_solver import solve


def choice_logprobs(answer: str | None, choices: Sequence[str]) -> tuple[float, ...]:
    """Return log-probabilities of the choices: half of the mass on the answer, the rest uniform; uniform without one.

    >>> [round(math.exp(p), 3) for p in choice_logprobs("no", ("yes", "no"))]
    [0.25, 0.75]
    """
    chosen = parse_answer(answer, choices)
    even = 1 / max(len(choices), 1)
    if chosen is None:
        return (math.log(even),) * len(choices)
    return tuple(math.log(even / 2 + (0.5 if choice == chosen else 0.0)) for choice in choices)


SOME_SCENE = "1 large red solid circle ; 2 small blue striped square | 1 above 2"
"""A scene graph that is independent of the scene: its score is the floor of the scene-graph metrics."""


def guess(sample: Sample) -> str:
    """Return the choice that a hash of the question selects, so that the same question always gets the same answer.

    For an open question, return a scene graph that is independent of the scene.
    """
    if not sample.choices:
        return SOME_SCENE
    bits = hashlib.blake2b((sample.question or sample.prompt).encode(), digest_size=8).digest()
    return sample.choices[int.from_bytes(bits, "big") % len(sample.choices)]


def as_choice(answer: str, sample: Sample) -> str:
    """Return an answer as one of the sample's choices: where these are letters, that of its line in the prompt."""
    lines = sample.prompt.splitlines()
    return next((letter for letter in sample.choices if f"{letter}. {answer}" in lines), answer)


class SymbolicControl:
    """An adapter that answers by rule; subclasses implement `answer`."""

    capabilities: frozenset[Capability] = frozenset({"generate", "rank"})
    image_size: int | None = None
    layers: tuple[str, ...] = ()
    traits = Traits(prompt_format=PLAIN)

    def answer(self, sample: Sample) -> str:
        """Return the control's answer to a sample."""
        raise NotImplementedError

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Return the answers as text."""
        return [Output(text=self.answer(sample), finish_reason="stop") for sample in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Return log-probabilities with most of the mass on the same answer; every choice counts as one token."""
        return [
            Output(
                logprobs=choice_logprobs(as_choice(self.answer(sample), sample), sample.choices),
                logprob_tokens=(1,) * len(sample.choices),
            )
            for sample in samples
        ]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Refuse: a symbolic control has no visual tokens."""
        raise AdapterError(f"{type(self).__name__} has no visual tokens; leave out the metrics that need them.")

    def describe(self) -> Mapping[str, Any]:
        """Return the name of the control."""
        return {"checkpoint": f"control:{type(self).__name__}", "parameters": 0, "device": "cpu"}

    def close(self) -> None:
        """Do nothing."""


class Oracle(SymbolicControl):
    """Answers from the scene."""

    def answer(self, sample: Sample) -> str:
        """Return the true answer.

        Raises:
            SampleError: the sample has no scene, or the wording of its question is unknown.
        """
        if sample.scene is None:
            raise SampleError(f"{sample.id}: the oracle answers from synthetic scenes, and this sample has none.")
        answer = solve(sample.question or sample.prompt, sample.scene)
        if answer is None:
            raise SampleError(f"{sample.id}: the oracle cannot read the question {sample.prompt!r}.")
        return answer


class BagOfObjects(SymbolicControl):
    """Knows the objects, but neither their positions nor their drawing order."""

    def answer(self, sample: Sample) -> str:
        """Return the answer that follows from the objects alone, else a guess."""
        answer = solve(sample.question or sample.prompt, sample.scene, positions=False) if sample.scene else None
        return answer or guess(sample)


class ColourPrior(SymbolicControl):
    """Knows which colour things usually have, and not which they have here."""

    def answer(self, sample: Sample) -> str:
        """Return the choice nearest to the colour that the named cut-out has in its cast, else a guess."""
        question = sample.question or sample.prompt
        named = [obj.cutout for obj in sample.scene.objects if obj.cutout] if sample.scene else []
        named = [cutout for cutout in named if re.search(rf"\b{cutout.name}\b", question)]
        known = [choice for choice in sample.choices if choice in COLOURS]
        if len(named) != 1 or not known:
            return guess(sample)
        return min(known, key=lambda word: colour_difference(COLOURS[word], named[0].colour))


class Blind(SymbolicControl):
    """Knows only the question."""

    def answer(self, sample: Sample) -> str:
        """Return a guess that the question determines."""
        return guess(sample)


class Majority(SymbolicControl):
    """Gives one answer for each set of choices."""

    def answer(self, sample: Sample) -> str:
        """Return the first choice; with uniform answers it is as good as the most frequent one."""
        return sample.choices[0] if sample.choices else SOME_SCENE


class Shuffled(SymbolicControl):
    """Answers from the scene of another sample."""

    def __init__(self, swap: SwappedImages) -> None:
        self._swap = swap

    def answer(self, sample: Sample) -> str:
        """Return the answer for the other sample's scene, else a guess."""
        other = self._swap(sample).scene
        answer = solve(sample.question or sample.prompt, other) if other else None
        return answer or guess(sample)
