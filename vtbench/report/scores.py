"""The scores of a task as the template shows them: bars, breakdowns by kind, and other runs' scores beside them.

In: scores as results.json has them. Out: rows and numbers between 0 and 100 for bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

Scores = Mapping[str, Mapping[str, Any]]


def bar(score: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return where a score between 0 and 1 and its interval stand on a line of 100; None for others."""
    ends = score["interval"] or (score["value"], score["value"])
    if not score["percent"] or score["value"] is None or not all(0 <= end <= 1 for end in (score["value"], *ends)):
        return None
    chance = None if score["chance"] is None else 100 * score["chance"]
    return {"low": 100 * ends[0], "high": 100 * ends[1], "value": 100 * score["value"], "chance": chance}


def headlines(scores: Scores, count: int) -> list[str]:
    """Return the names of at most `count` scores for the summary: the first of each metric, no value twice."""
    first: dict[str, str] = {}
    for name, score in scores.items():
        first.setdefault(score["metric"], name)
    values: dict[float | None, str] = {}
    for name in first.values():
        values.setdefault(scores[name]["value"], name)
    names = list(values.values())
    return sorted(names, key=lambda name: scores[name]["value"] is None)[:count]


def kinds(scores: Scores) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the breakdowns that scores carry: kind -> score -> its value, n and chance."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for name, score in scores.items():
        for kind, cell in (score["detail"].get("by_kind") or {}).items():
            if isinstance(cell, dict) and isinstance(cell.get(name), (int, float)):
                row = {"value": cell[name], "n": cell.get("n"), "percent": score["percent"]}
                table.setdefault(kind or "-", {})[name] = row
    return dict(sorted(table.items()))


@dataclass(frozen=True, slots=True)
class Other:
    """Another run that the report shows beside its own."""

    letter: str
    run: Mapping[str, Any]
    """run.json."""
    document: Mapping[str, Any]
    """results.json."""

    def scores(self, task: str) -> Scores:
        """Its scores of a task; none where it did not run it."""
        found: Scores = self.document["scores"].get(task, {})
        return found


def lettered(others: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Other]:
    """Name other runs B, C, ...; A is the report's own."""
    letters = [ascii_uppercase[1 + i] if i < 25 else f"#{i + 2}" for i in range(len(others))]
    return [Other(letter, run, document) for letter, (run, document) in zip(letters, others, strict=True)]


def beside(task: str, document: Mapping[str, Any], others: Sequence[Other]) -> dict[str, Any] | None:
    """Return the scores that this run and others have of one task, and which others asked something else.

    Returns:
        `lines`: score -> a score (or None) for A and each other run; `apart`: letters of the runs whose task has other
        settings, another version or another number of samples. None where no other run has the task.
    """
    own = document["scores"][task]
    having = [other for other in others if other.scores(task)]
    if not having:
        return None
    lines = {name: [score, *(other.scores(task).get(name) for other in others)] for name, score in own.items()}
    shared = {name: scores for name, scores in lines.items() if any(scores[1:])}
    same = ("configs", "versions", "n-samples")
    apart = [other.letter for other in having if any(other.document[key][task] != document[key][task] for key in same)]
    return {
        "lines": {
            name: [score and {**score, "bar": bar(score)} for score in scores] for name, scores in shared.items()
        },
        "apart": apart,
    }
