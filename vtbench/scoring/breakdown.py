"""Breakdowns of a score: by kind of question, and by what else a task says that its samples vary in.

A sample says so in `meta["by"]`, a word for each property: `{"severity": "3", "corruption": "blur/3"}`. The details of
a score get a table for each, `by_kind` and `by_severity`, whose cells have the score of these samples alone, with
interval, number and chance. A word with slashes is a path: `blur/1` and `blur/2` have a line each, and `blur` another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from vtbench.types import Record, Score

Unit = TypeVar("Unit")

PREFIX = "by_"
"""Of the tables' names in the details of a score."""
BY = "by"
"""Key of `Sample.meta` with the words of a sample, by property."""
TWIN = "twin"
"""Key of `Sample.meta` with the word that the sample's twin has, by property (`vtbench.scoring.twins`)."""
LESS_TWIN = "less_twin"
"""Key of a cell with the paired difference of its samples from their twins."""
Table = dict[str, dict[str, Any]]


def words_of(record: Record) -> dict[str, str]:
    """Return the words of a sample: its kind, and what its task says beside that."""
    said = record.meta.get(BY)
    return {"kind": record.kind} | {k: v for k, v in (said if isinstance(said, Mapping) else {}).items() if v}


def shared_words(records: Iterable[Record]) -> dict[str, str]:
    """Return the words that the members of a pair or group have in common: it counts where all of it belongs."""
    words = [words_of(record) for record in records]
    return {name: word for name, word in words[0].items() if all(other.get(name) == word for other in words)}


def breakdowns(
    name: str,
    units: Sequence[Unit],
    words: Callable[[Unit], Mapping[str, str]],
    measure: Callable[[Sequence[Unit]], Score],
    less_twins: Callable[[str, Sequence[Unit]], dict[str, Any] | None] = lambda property_name, part: None,
) -> dict[str, Table]:
    """Return the tables of a score, by their names in its details.

    Args:
        name: of the score, which the cells have as a key.
        units: what it counts: samples, pairs or groups.
        words: returns the words of a unit.
        measure: returns the score of some of the units.
        less_twins: returns the difference of some of the units from their twins in a property (`twin_differences`).

    Returns:
        A table for each property in which the units differ, `by_kind` for example. A cell has the score's value under
        `name`, its `interval`, `n` and `chance`, and `less_twin` where its units have twins.
    """
    found: dict[str, dict[str, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        for property_name, word in words(unit).items():
            found[property_name][word].append(unit)
    return {
        PREFIX + property_name: {
            word: _cell(name, measure(part), less_twins(property_name, part))
            for word, part in sorted(_with_paths(parts).items())
        }
        for property_name, parts in found.items()
        if len(parts) > 1
    }


def stored_breakdowns(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Return the tables of a task's scores as results.json has them.

    Returns:
        By property and word, the cell of each score that has one: `value`, `interval`, `n`, `chance`, `less_twin` where
        its samples have twins, and `percent`, whether it is a percentage. The kind comes first.
    """
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {"kind": {}}
    for name, score in scores.items():
        tables = {key.removeprefix(PREFIX): t for key, t in score["detail"].items() if key.startswith(PREFIX)}
        for property_name, table in tables.items():
            for word, cell in (table or {}).items():
                if isinstance(cell, dict) and isinstance(cell.get(name), int | float):
                    row = {key: cell.get(key) for key in ("interval", "n", "chance")}
                    row |= {LESS_TWIN: cell[LESS_TWIN]} if LESS_TWIN in cell else {}
                    words = found.setdefault(property_name, {}).setdefault(word, {})
                    words[name] = row | {"value": cell[name], "percent": score["percent"]}
    return {name: dict(sorted(words.items())) for name, words in found.items() if words}


def _with_paths(parts: Mapping[str, list[Unit]]) -> dict[str, list[Unit]]:
    """Return the units by word, and by the beginnings of paths that several words share, and not all of them."""
    below: dict[str, list[str]] = defaultdict(list)
    for word in parts:
        levels = word.split("/")
        for depth in range(1, len(levels)):
            below["/".join(levels[:depth])].append(word)
    shared = {
        path: [unit for word in (*words, path) for unit in parts.get(word, ())]
        for path, words in below.items()
        if 1 < len(words) < len(parts)
    }
    return {**parts, **shared}


def _cell(name: str, score: Score, less_twin: dict[str, Any] | None) -> dict[str, Any]:
    cell = {name: score.value, "interval": score.interval, "n": score.n, "chance": score.chance}
    return cell | ({LESS_TWIN: less_twin} if less_twin else {})
