"""Paired differences of samples from their twins: what a property of the images costs, with all else equal.

A sample says which word its twin has, in `meta["twin"]` by property: `{"occlusion": "clear"}`. The twin is the sample
of its cluster that asks the same question and has this word. Whatever has no twin with an answer is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from vtbench.scoring.breakdown import TWIN, words_of
from vtbench.stats import difference
from vtbench.types import Observation, Record

Pairs: TypeAlias = Sequence[tuple[Record, Observation]]
TwinDifference: TypeAlias = Callable[[str, Pairs], dict[str, Any] | None]


def twin_differences(pairs: Pairs, key: str) -> TwinDifference:
    """Return a function of a property and some of the samples, which compares these with their twins.

    Args:
        pairs: all samples with their observations.
        key: of the observations, a value in [0, 1] of each sample.

    Returns:
        A function that returns the mean difference `value` of sample less twin, its `interval` and `p`, the name of the
        `test`, `n`, the number of samples that have a twin, and `twin`, the word of these; None where none has one.
    """
    by_word: dict[tuple[Any, ...], Observation] = {}
    for record, observation in pairs:
        for property_name, word in words_of(record).items():
            by_word[_asked(record), property_name, word] = observation

    def compared(property_name: str, part: Pairs) -> dict[str, Any] | None:
        found = []
        for record, observation in part:
            word = _twin_words(record).get(property_name)
            twin = by_word.get((_asked(record), property_name, word))
            if word is not None and twin is not None:
                found.append((word, observation[key], twin[key], record.cluster))
        if not found:
            return None
        words, ours, theirs, clusters = zip(*found, strict=True)
        estimate = difference(ours, theirs, clusters)
        return {
            "twin": ", ".join(sorted(set(words))),
            "value": estimate.value,
            "interval": estimate.interval,
            "p": estimate.p,
            "test": estimate.test,
            "n": estimate.n,
        }

    return compared


def _asked(record: Record) -> tuple[Any, ...]:
    return record.cluster, record.repeat, record.question or record.prompt


def _twin_words(record: Record) -> Mapping[str, str]:
    said = record.meta.get(TWIN)
    return said if record.cluster and isinstance(said, Mapping) else {}
