"""Scores of benchmarks of photographs: groups that must be right as a whole, yes and no, and means of means.

An observation is `{}` where the metric does not apply, as in metrics.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vtbench.metric import Batch
from vtbench.scoring.answers import answer_type, exact_match, true_choices
from vtbench.scoring.metrics import (
    Pairs,
    broken_down,
    chance,
    concerned,
    group_size,
    groups_broken_down,
    share_of_groups,
)
from vtbench.scoring.normalise import plain
from vtbench.stats import proportion, ratio
from vtbench.types import Capability, Observation, Record, Sample, Score

_YES = frozenset({"yes", "true"})


def _verdict(sample: Sample, text: str | None) -> Observation:
    if answer_type(sample) == "graph":
        return {}
    answer, right = exact_match(text, sample)
    return {"answer": answer, "correct": int(right)}


class GroupAccuracy:
    """Shares of groups whose answers are all right, and of the questions, images and pairs in them.

    The samples of a cluster are a group. Its samples of one question on several images count as right together
    (`question_acc`), as do those of several questions on one image (`image_acc`) and those of one `pair`; `group_acc`
    needs all of them (NaturalBench, arXiv:2410.14669, section 3; What'sUp, arXiv:2310.19785, for pairs and sets).
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether each answer is right."""
        return [_verdict(s, output.text) for s, output in zip(batch.samples, batch.outputs, strict=True)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return the four shares; those of which the task has no unit have no value and n = 0.

        Groups that lack a sample of their data, as a limit cut it or as it failed, are counted as `incomplete`.
        """
        pairs = concerned(records, observations)
        found = {name: whole_units(pairs, name) for name in UNITS}
        return {
            name: replace(share_of_groups(units), detail={"incomplete": incomplete, **groups_broken_down(units, name)})
            for name, (units, incomplete) in found.items()
        }


UNITS: Mapping[str, Callable[[Record], Hashable]] = {
    "group_acc": lambda record: "",
    "question_acc": lambda record: record.question or record.prompt,
    "image_acc": lambda record: record.image_sha256,
    "pair_acc": lambda record: record.meta.get("pair"),
}
"""By score of `GroupAccuracy`, what the samples of a unit share within their cluster; None is in no unit."""


def whole_units(pairs: Pairs, name: str) -> tuple[list[Pairs], int]:
    """Return the units of two samples or more, of `group_acc` as many as a whole group has, and the number of others.

    Args:
        pairs: the samples with their observations.
        name: a key of `UNITS`.
    """
    units: dict[Hashable, Pairs] = defaultdict(list)
    for record, observation in pairs:
        if record.cluster and (key := UNITS[name](record)) is not None:
            units[record.cluster, record.repeat, key].append((record, observation))
    whole = [unit for unit in units.values() if len(unit) >= (group_size(unit) if name == "group_acc" else 2)]
    return whole, len(units) - len(whole)


class YesNo:
    """F1, precision and recall of the answer yes, and how often it is given (POPE, arXiv:2305.10355, section 4).

    An answer that is neither yes nor no counts as no yes.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether yes is said, and whether it is right; `{}` where yes (or true) is none of two choices."""
        return [self._seen(s, output.text) for s, output in zip(batch.samples, batch.outputs, strict=True)]

    def _seen(self, sample: Sample, text: str | None) -> Observation:
        yes = [choice for choice in sample.choices if plain(choice) in _YES]
        if len(yes) != 1 or len(sample.choices) != 2:
            return {}
        answer, _ = exact_match(text, sample)
        return {"answer": answer, "said_yes": int(answer == yes[0]), "is_yes": int(yes[0] in true_choices(sample))}

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `f1`, with precision and recall, and `yes_share`, with the share that is right."""
        pairs = concerned(records, observations)
        return {
            name: replace(score := measure(pairs), detail={**score.detail, **broken_down(pairs, name, measure)})
            for name, measure in (("f1", _f1), ("yes_share", _yes_share))
        }


def _f1(pairs: Pairs) -> Score:
    both = [o["said_yes"] * o["is_yes"] for _, o in pairs]
    said, true = [o["said_yes"] for _, o in pairs], [o["is_yes"] for _, o in pairs]
    sums = [s + t for s, t in zip(said, true, strict=True)]
    detail = {
        "precision": sum(both) / sum(said) if sum(said) else None,
        "recall": sum(both) / sum(true) if sum(true) else None,
    }
    return ratio([2 * b for b in both], sums, [r.cluster for r, _ in pairs]).score(detail=detail)


def _yes_share(pairs: Pairs) -> Score:
    estimate = proportion([o["said_yes"] for _, o in pairs], [record.cluster for record, _ in pairs])
    right = sum(o["is_yes"] for _, o in pairs) / len(pairs) if pairs else None
    return estimate.score(detail={"right_share": right})


class MacroAccuracy:
    """Mean of the accuracies of the kinds of question, so that a frequent kind counts no more than a rare one.

    A kind with slashes is a path: `2D/COCO` and `2D/ADE20K` make the mean of `2D`, which stands beside that of `3D`
    (CV-Bench, arXiv:2406.16860, section 3).
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether each answer is right."""
        return [_verdict(s, output.text) for s, output in zip(batch.samples, batch.outputs, strict=True)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `macro_acc`, with the accuracy of each part of the kinds."""
        pairs = concerned(records, observations)
        paths = [tuple(record.kind.split("/")) for record, _ in pairs]
        weights = path_weights(paths)
        right = [float(o["correct"]) for _, o in pairs]
        weighted = [w * r for w, r in zip(weights, right, strict=True)]
        by_part: dict[str, Any] = {}
        for part in sorted({path[:depth] for path in paths for depth in range(1, len(path) + 1)}):
            inside = [i for i, path in enumerate(paths) if path[: len(part)] == part]
            total = sum(weights[i] for i in inside)
            by_part["/".join(part)] = {"acc": sum(weighted[i] for i in inside) / total, "n": len(inside)}
        estimate = ratio(weighted, weights, [record.cluster for record, _ in pairs])
        guesses = [chance([record]) for record, _ in pairs]
        guess = None
        if pairs and None not in guesses:
            guess = sum(w * g for w, g in zip(weights, guesses, strict=True) if g is not None) / sum(weights)
        return {"macro_acc": estimate.score(chance=guess, detail={"by_part": by_part})}


def path_weights(paths: Sequence[tuple[str, ...]]) -> list[float]:
    """Return the weight of each sample: 1 divided among the parts of a level, then among theirs, then among samples."""
    below: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for path in paths:
        for depth in range(len(path)):
            below[path[:depth]].add(path[: depth + 1])
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for path in paths:
        counts[path] += 1
    found = []
    for path in paths:
        weight = 1.0
        for depth in range(len(path)):
            weight /= len(below[path[:depth]])
        found.append(weight / counts[path])
    return found
