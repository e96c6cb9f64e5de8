"""Closed answers: was the text right, and was the right choice ranked first?

The two forms tell knowing from formatting: a model that ranks the right choice first but does not write it knows the
answer and misses the form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vtbench.errors import SampleError
from vtbench.scoring.normalise import normalise, parse_answer
from vtbench.types import Sample


def true_choice(sample: Sample) -> str:
    """Return the choice that is the sample's target, which may differ from it in case or by a synonym.

    Raises:
        SampleError: the target is none of the choices.
    """
    if sample.target in sample.choices:
        return sample.target
    choice = parse_answer(sample.target, sample.choices)
    if choice is None:
        raise SampleError(f"{sample.id}: the target {sample.target!r} is none of the choices {list(sample.choices)}.")
    return choice


def exact_match(text: str | None, sample: Sample) -> tuple[str | None, bool]:
    """Return the answer that a text gives and whether it is right.

    With choices the answer is one of them or None (unparsed: wrong). Without, it is the normalised text, which must
    equal the normalised target; only an empty text is unparsed.

    Raises:
        SampleError: the target is none of the choices.
    """
    if sample.choices:
        answer = parse_answer(text, sample.choices)
        return answer, answer == true_choice(sample)
    said = normalise(text or "")
    return said or None, bool(said) and said == normalise(sample.target)


def rank_credit(logprobs: Sequence[float] | None, target: int, tokens: Sequence[int] | None = None) -> float:
    """Return 1.0 if choice number `target` has the highest log-probability, 0.0 if not; 1/k where k choices tie.

    A tie earns what a fair coin would: a model that ranks all choices alike sits at chance, not at the first choice.

    Args:
        logprobs: one a choice, in nats, summed over its tokens; None or any NaN counts as wrong.
        target: index of the right choice.
        tokens: one a choice; given, log-probabilities are compared per token (length-normalised).
    """
    if logprobs is None or any(math.isnan(value) for value in logprobs):
        return 0.0
    values = list(logprobs) if tokens is None else [v / max(n, 1) for v, n in zip(logprobs, tokens, strict=True)]
    best = max(values)
    return 1.0 / values.count(best) if values[target] == best else 0.0
