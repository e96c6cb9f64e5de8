"""Metrics of closed answers and of scene graphs (`vtbench.metric.Metric`).

An observation is `{}` if the metric does not apply to the sample (a scene graph is not scored by exact match), so tasks
may mix forms of answer. The sample's answer type decides it, and never its kind, which is a user's word.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from vtbench.metric import Batch
from vtbench.scoring.answers import answer_type, exact_match, rank_credit, right_answers, true_choices
from vtbench.scoring.credit import graph_counts
from vtbench.scoring.graph import ATTRIBUTES
from vtbench.scoring.scene_graph import Counts
from vtbench.stats import proportion, ratio
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
    """Return the accuracy of always giving the most frequent right answer of the sample's kind and choices."""
    if not records:
        return None
    targets: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    for record in records:
        targets[record.kind, record.choices].update(right_answers(record))
    return sum(max(counts.values(), default=0) for counts in targets.values()) / len(records)


def by_kind(pairs: Pairs, name: str, key: str) -> dict[str, dict[str, float | int | None]]:
    """Return for each kind of question the mean of observation `key` (under `name`), the sample count and chance."""
    groups: dict[str, Pairs] = defaultdict(list)
    for record, observation in pairs:
        groups[record.kind].append((record, observation))
    return {
        kind: {
            name: sum(observation[key] for _, observation in group) / len(group),
            "n": len(group),
            "chance": chance([record for record, _ in group]),
        }
        for kind, group in sorted(groups.items())
    }


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
        seen = [record for record, _ in pairs]
        estimate = proportion([o["correct"] for _, o in pairs], [record.cluster for record in seen])
        unparsed = sum(o["answer"] is None for _, o in pairs)
        detail = {
            "majority": majority(seen),
            "unparsed": unparsed / len(pairs) if pairs else None,
            "by_kind": by_kind(pairs, "acc", "correct"),
        }
        return {"acc": estimate.score(chance=chance(seen), detail=detail)}


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
            estimate = proportion([o[key] for _, o in pairs], [record.cluster for record in seen])
            detail = {
                "majority": majority(seen),
                "unranked": sum(not o["ranked"] for _, o in pairs) / len(pairs) if pairs else None,
                "by_kind": by_kind(pairs, name, key),
            }
            scores[name] = estimate.score(chance=chance(seen), detail=detail)
        return scores


def group_chance(pairs: Pairs) -> float:
    """Return the probability of guessing a whole group; members with the same question and answer are one guess."""
    guesses = {(record.prompt, record.choices, true_choices(record)): _chance(record) for record, _ in pairs}
    return math.prod(guesses.values())


class PairAccuracy:
    """Share of minimal pairs with both answers right, which a constant answer never achieves."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether each answer is right."""
        return [_answer(s, output.text) for s, output in zip(batch.samples, batch.outputs, strict=True)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `pair_acc` over clusters of two or more; samples whose pair a limit cut are counted as incomplete."""
        clusters: dict[tuple[str, int], Pairs] = defaultdict(list)
        alone = 0
        for record, observation in concerned(records, observations):
            if record.cluster:
                clusters[record.cluster, record.repeat].append((record, observation))
            else:
                alone += 1
        whole = {key: pairs for key, pairs in clusters.items() if len(pairs) > 1}
        alone += len(clusters) - len(whole)
        right = [int(all(o["correct"] for _, o in pairs)) for pairs in whole.values()]
        guess = None
        if whole and all(record.choices for pairs in whole.values() for record, _ in pairs):
            guess = sum(map(group_chance, whole.values())) / len(whole)
        kinds: dict[str, list[int]] = defaultdict(list)
        for pairs, both in zip(whole.values(), right, strict=True):
            kinds[pairs[0][0].kind].append(both)
        detail = {
            "incomplete": alone,
            "by_kind": {kind: {"pair_acc": sum(v) / len(v), "n": len(v)} for kind, v in sorted(kinds.items())},
        }
        scenes = [cluster for cluster, _ in whole]  # the repeats of a pair are no further pairs
        return {"pair_acc": proportion(right, scenes).score(chance=guess, detail=detail)}


class SceneGraph:
    """Agreement of a description with the scene: F1 over objects, attributes and relations."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Count the right objects, attributes and relations of each description.

        Raises:
            TaskError: a target is not in the line grammar.
        """
        return [
            graph_counts(output.text, sample).as_dict() if _may_be_graph(sample) else {}
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `tuple_f1`, its parts, `exact_graph`, `parse_rate` and `hallucinated`."""
        pairs = concerned(records, observations)
        clusters = [record.cluster for record, _ in pairs]
        counts = [Counts(**observation) for _, observation in pairs]

        def f1(right: list[int], said: list[int], true: list[int], detail: dict[str, Any] | None = None) -> Score:
            both = [s + t for s, t in zip(said, true, strict=True)]
            estimate = ratio([2 * r for r in right], both, clusters)
            shares = {"precision": _share(right, said), "recall": _share(right, true), **(detail or {})}
            return estimate.score(detail=shares)

        agreeing = {name: [getattr(c, f"{name}_right") for c in counts] for name in ATTRIBUTES}
        matched = [c.objects_right for c in counts]
        attributes = [sum(values) for values in zip(*agreeing.values(), strict=True)]
        tuples_right = [c.tuples_right for c in counts]
        tuples_said = [c.tuples_said for c in counts]
        tuples_true = [c.tuples_true for c in counts]
        each = [c.f1 for c in counts]
        by_attribute = {name: _share(values, matched) for name, values in agreeing.items()}
        said = [c.objects_said for c in counts]
        extra = [c.objects_said - c.objects_right for c in counts]
        return {
            "tuple_f1": f1(tuples_right, tuples_said, tuples_true, {"per_sample": _share(each, [1] * len(each))}),
            "object_f1": f1(matched, said, [c.objects_true for c in counts]),
            "attribute_acc": ratio(attributes, [3 * m for m in matched], clusters).score(detail=by_attribute),
            "relation_f1": f1(
                [c.relations_right for c in counts],
                [c.relations_said for c in counts],
                [c.relations_true for c in counts],
            ),
            "exact_graph": proportion([c.exact for c in counts], clusters).score(),
            "parse_rate": proportion([c.parsed for c in counts], clusters).score(),
            "hallucinated": ratio(extra, said, clusters).score(detail={"per_sample": _share(extra, [1] * len(extra))}),
        }


def _may_be_graph(sample: Sample) -> bool:
    """Return whether the answer is a scene graph: it says so, or is an open one of a user's task with this metric."""
    return answer_type(sample) == "graph" or (sample.answer_type is None and not sample.choices)


def _share(part: Sequence[float], whole: Sequence[float]) -> float | None:
    return math.fsum(part) / math.fsum(whole) if sum(whole) else None
