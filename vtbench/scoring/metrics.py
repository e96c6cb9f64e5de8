"""Metrics of closed answers and of scene graphs (`vtbench.metric.Metric`).

An observation is `{}` if the metric does not apply to the sample (a scene graph is not scored by exact match), so tasks
may mix forms of answer. The sample's answer type decides it, and never its kind, which is a user's word.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from vtbench.metric import Batch
from vtbench.scoring.answers import answer_type, exact_match, rank_credit, right_answers, true_choices
from vtbench.scoring.breakdown import Table, breakdowns, shared_words, words_of
from vtbench.scoring.twins import twin_differences
from vtbench.stats import proportion
from vtbench.types import Capability, Observation, Record, Sample, Score

Pairs = list[tuple[Record, Observation]]


def concerned(records: Sequence[Record], observations: Sequence[Observation]) -> Pairs:
    """Return the samples to which the metric applies, with their observations, in the order of the records."""
    return [pair for pair in zip(records, observations, strict=True) if pair[1]]


def chance(records: Sequence[Record]) -> float | None:
    """Return the accuracy of a random guess; None if an answer is open."""
    if not records or not all(record.choices for record in records):
        return None
    return sum(map(_chance, records)) / len(records)


def _chance(record: Record) -> float:
    """Return the share of the choices that are right."""
    right = true_choices(record)
    return sum(choice in right for choice in record.choices) / len(record.choices)


def majority(records: Sequence[Record]) -> float | None:
    """Return the accuracy of always giving the most frequent right answer of the sample's kind and choices.

    None where most samples share their choices, in whatever order, with no other: nothing is frequent there.
    """
    if not records:
        return None
    targets: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    samples = Counter[tuple[str, tuple[str, ...]]]()
    for record in records:
        asked = record.kind, tuple(sorted(record.choices))
        targets[asked].update(right_answers(record))
        samples[asked] += 1
    if any(record.choices for record in records) and 2 * sum(n == 1 for n in samples.values()) > len(records):
        return None
    return sum(max(counts.values(), default=0) for counts in targets.values()) / len(records)


def broken_down(pairs: Pairs, name: str, measure: Callable[[Pairs], Score]) -> dict[str, Table]:
    """Return the tables of a score over single samples, by kind and by what else they vary in.

    Args:
        pairs: the samples with their observations.
        name: of the score.
        measure: returns the score of some of them.
    """
    return breakdowns(name, pairs, lambda pair: words_of(pair[0]), lambda part: measure([*part]))


def shares_broken_down(pairs: Pairs, name: str, key: str) -> dict[str, Table]:
    """Return the tables of the mean of observation `key`, with the paired differences of samples from their twins."""
    return breakdowns(
        name, pairs, lambda pair: words_of(pair[0]), lambda part: share([*part], key), twin_differences(pairs, key)
    )


def share(pairs: Pairs, key: str) -> Score:
    """Return the mean of observation `key`, with the chance of a guess."""
    seen = [record for record, _ in pairs]
    estimate = proportion([o[key] for _, o in pairs], [record.cluster for record in seen])
    return estimate.score(chance=chance(seen))


def _answer(sample: Sample, text: str | None) -> Observation:
    if answer_type(sample) == "graph":
        return {}
    answer, right = exact_match(text, sample)
    return {"answer": answer, "correct": int(right)}


class Accuracy:
    """Share of answers that are exactly right, after normalising."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record each parsed answer, and whether it is right."""
        return [_answer(s, output.text) for s, output in zip(batch.samples, batch.outputs, strict=True)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `acc`, with chance, majority baseline, fraction unparsed and a breakdown by kind."""
        pairs = concerned(records, observations)
        unparsed = sum(o["answer"] is None for _, o in pairs)
        detail = {
            "majority": majority([record for record, _ in pairs]),
            "unparsed": unparsed / len(pairs) if pairs else None,
            **shares_broken_down(pairs, "acc", "correct"),
        }
        return {"acc": replace(share(pairs, "correct"), detail=detail)}


class RankAccuracy:
    """Share of questions whose right answer is the most likely choice, whatever the model would write."""

    needs: frozenset[Capability] = frozenset({"rank"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether the right choice is ranked first, by log-probability summed over tokens and per token."""
        seen: list[Observation] = []
        for sample, output in zip(batch.samples, batch.outputs, strict=True):
            if not sample.choices:
                seen.append({})
                continue
            true = true_choices(sample)
            right = [i for i, choice in enumerate(sample.choices) if choice in true]
            ranked = output.logprobs is not None and not any(map(math.isnan, output.logprobs))
            seen.append(
                {
                    "correct": rank_credit(output.logprobs, right),
                    "per_token": rank_credit(output.logprobs, right, output.logprob_tokens),
                    "ranked": int(ranked),
                }
            )
        return seen

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `rank_acc` (by summed log-probability) and `rank_acc_norm` (by log-probability per token)."""
        pairs = concerned(records, observations)
        seen = [record for record, _ in pairs]
        scores = {}
        for name, key in (("rank_acc", "correct"), ("rank_acc_norm", "per_token")):
            detail = {
                "majority": majority(seen),
                "unranked": sum(not o["ranked"] for _, o in pairs) / len(pairs) if pairs else None,
                **shares_broken_down(pairs, name, key),
            }
            scores[name] = replace(share(pairs, key), detail=detail)
        return scores


def group_chance(pairs: Pairs) -> float:
    """Return the probability of guessing a whole group; members with the same question and answer are one guess."""
    guesses = {(record.prompt, record.choices, true_choices(record)): _chance(record) for record, _ in pairs}
    return math.prod(guesses.values())


def share_of_groups(units: Sequence[Pairs]) -> Score:
    """Return the share of pairs or groups whose answers are all right, with the chance of guessing one."""
    right = [int(all(o["correct"] for _, o in unit)) for unit in units]
    closed = bool(units) and all(record.choices for unit in units for record, _ in unit)
    guess = sum(map(group_chance, units)) / len(units) if closed else None
    # The repeats of a group are no further groups.
    return proportion(right, [unit[0][0].cluster for unit in units]).score(chance=guess)


def groups_broken_down(units: Sequence[Pairs], name: str) -> dict[str, Table]:
    """Return the tables of a score over pairs or groups, by the words that all members of one have."""
    return breakdowns(name, units, lambda unit: shared_words(record for record, _ in unit), share_of_groups)


def group_size(unit: Pairs) -> int:
    """Return how many samples a whole group has: as many as share its cluster in the data, at least two."""
    return max(2, int(unit[0][0].meta.get("group_size", 2)))


def whole_pairs(pairs: Pairs) -> tuple[list[Pairs], int]:
    """Return the minimal pairs, the repeats of each apart, and the number of clusters and samples that are none.

    Args:
        pairs: the samples with their observations.
    """
    clusters: dict[tuple[str, int], Pairs] = defaultdict(list)
    alone = 0
    for record, observation in pairs:
        if record.cluster:
            clusters[record.cluster, record.repeat].append((record, observation))
        else:
            alone += 1
    units = [unit for unit in clusters.values() if len(unit) >= group_size(unit)]
    return units, alone + len(clusters) - len(units)


class PairAccuracy:
    """Share of minimal pairs with both answers right, which a constant answer never achieves."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether each answer is right."""
        return [_answer(s, output.text) for s, output in zip(batch.samples, batch.outputs, strict=True)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `pair_acc` over clusters of two or more; samples whose pair a limit cut are counted as incomplete."""
        units, incomplete = whole_pairs(concerned(records, observations))
        detail = {"incomplete": incomplete, **groups_broken_down(units, "pair_acc")}
        return {"pair_acc": replace(share_of_groups(units), detail=detail)}
