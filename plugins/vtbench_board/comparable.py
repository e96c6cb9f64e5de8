"""Which entries of a task may share a ranking: those that answered the same questions, asked and scored in one way.

In: the entries of one task. Out: groups of them, each with what it has in common and, in one line, how it differs from
the task's largest group. What belongs to the model stays in the row: its arguments, token budget, generation settings,
the room for an answer, and the size at which it is shown a scene.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench_board.finished_runs import Entry

_NAMED = ("prompt_format", "fewshot", "split", "seed", "version", "benchmark")
"""Settings of a task that have a name of their own in `settings_of`."""
_WORDS_ONLY = ("task", "description", "groups", "alias", "metrics", "max_new_tokens")
"""Settings of a task that decide neither what is asked nor how an answer is scored, or belong to the row."""
_TOLD = 4
"""Differences that the line of a group names."""
_LONGEST = 60
"""Characters of a value in that line."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """Entries that share a ranking."""

    entries: tuple[Entry, ...]
    title: str
    """What they have in common, in short."""
    apart: str
    """How they differ from the task's first group; empty for that group."""


def comparable(entries: Sequence[Entry]) -> list[Comparable]:
    """Return the groups of one task's entries, the largest first, of equal ones that with the newest run."""
    groups: dict[str, tuple[dict[str, str], list[Entry]]] = {}
    for entry in entries:
        settings = settings_of(entry)
        groups.setdefault(json.dumps(settings, sort_keys=True), (settings, []))[1].append(entry)
    ordered = sorted(groups.values(), key=lambda group: (len(group[1]), _newest(group[1])), reverse=True)
    first = ordered[0][0]
    return [Comparable(tuple(found), _title(settings), _difference(settings, first)) for settings, found in ordered]


def settings_of(entry: Entry) -> dict[str, str]:
    """Return everything that must agree for two entries to share a ranking, as label -> text."""
    config, samples = entry.config, entry.results["n-samples"][entry.task]["original"]
    settings = {
        "asked as": entry.asked,
        "system prompt": entry.run["config"].get("system") or "none",
        "examples": _text(config.get("fewshot")),
        "samples": f"{samples:,}",
        "split": _text(config.get("split")),
        "seed": _text(config.get("seed")),
        "benchmark": _text(config.get("benchmark")),
        "task version": _text(entry.results.get("versions", {}).get(entry.task)),
        "scoring version": _text(entry.scoring),
    }
    rest = {key: value for key, value in config.items() if key not in (*_NAMED, *_WORDS_ONLY)}
    settings |= {f"task setting {name}": text for name, text in _flat(rest, "")}
    return settings | {"questions": entry.answers.questions}


def _flat(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested settings with their dotted names."""
    for key, value in values.items():
        if key in _WORDS_ONLY:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _title(settings: Mapping[str, str]) -> str:
    parts = [settings["asked as"], f"{settings['samples']} samples"]
    parts += [f"split {settings['split']}"] if settings["split"] != "none" else []
    return " · ".join([*parts, f"scoring version {settings['scoring version']}"])


def _difference(settings: Mapping[str, str], first: Mapping[str, str]) -> str:
    """Say how settings differ from those of the first group; empty if they do not."""
    names = [name for name in dict.fromkeys((*first, *settings)) if settings.get(name) != first.get(name)]
    told = [name for name in names if name != "questions"]
    if not told:
        return "other questions, right answers or images under the same settings" if names else ""
    if "asked as" in told:  # says it already
        told = [name for name in told if name != "system prompt" and not name.startswith("task setting format")]
    texts = [f"{name} {_cut(settings.get(name))}, not {_cut(first.get(name))}" for name in told[:_TOLD]]
    if len(told) > _TOLD:
        texts.append(f"{len(told) - _TOLD} more settings")
    return "; ".join(texts)


def _cut(text: str | None) -> str:
    text = "none" if text is None else " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _newest(entries: Sequence[Entry]) -> str:
    return max(str(entry.run["created"]) for entry in entries)
