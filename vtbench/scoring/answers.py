"""Closed answers: whether the generated text is right, and whether the right choice has the highest probability.

The two differ if a model knows an answer but not its form: it ranks the right choice first and does not write it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vtbench.errors import SampleError
from vtbench.scoring.normalise import normalise, parse_answer
from vtbench.types import Sample


def true_choice(sample: Sample) -> str:
    """Return the choice that matches the sample's target, which may differ from it in case or by a synonym.

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
    """Return the answer parsed from a text, and whether it is right.

    With choices, the answer is one of them or None (unparsed, which is wrong). Without choices, it is the normalised
    text, which must equal the normalised target; only an empty text is unparsed.

    Raises:
        SampleError: the target is none of the choices.
    """
    if sample.choices:
        answer = parse_answer(text, sample.choices)
        return answer, answer == true_choice(sample)
    said = normalise(text or "")
    return said or None, bool(said) and said == normalise(sample.target)


def rank_credit(logprobs: Sequence[float] | None, target: int, tokens: Sequence[int] | None = None) -> float:
    """Return 1.0 if choice number `target` has the highest log-probability, 1/k if it ties with k - 1 others, else 0.0.

    A tie scores its expectation under a random choice, so a model that ranks all choices alike scores at chance.

    Args:
        logprobs: one per choice, in nats, summed over its tokens; None or any NaN counts as wrong.
        target: index of the right choice.
        tokens: number of tokens of each choice; if given, log-probabilities are compared per token
            (length-normalised).
    """
    if logprobs is None or any(math.isnan(value) for value in logprobs):
        return 0.0
    values = list(logprobs) if tokens is None else [v / max(n, 1) for v, n in zip(logprobs, tokens, strict=True)]
    best = max(values)
    return 1.0 / values.count(best) if values[target] == best else 0.0
