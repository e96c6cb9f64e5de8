"""The tables of a report: a task's scores with bars, other runs for comparison, and run facts.

The input is the content of results.json and run.json, the output rows for the templates; bars are in percent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from vtbench.console.formatting import asked_as
from vtbench.scoring.token_counts import measured_m, unequal_m

Scores = Mapping[str, Mapping[str, Any]]
_OF_ASKING = ("prompt_format", "format", "fewshot", "max_new_tokens")
"""Settings of a task that change how its samples are asked, and not which they are."""


def bar(score: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a score in [0, 1], its interval and chance in percent; None for other scores."""
    ends = score["interval"] or (score["value"], score["value"])
    if not score["percent"] or score["value"] is None or not all(0 <= end <= 1 for end in (score["value"], *ends)):
        return None
    chance = None if score["chance"] is None else 100 * score["chance"]
    return {"low": 100 * ends[0], "high": 100 * ends[1], "value": 100 * score["value"], "chance": chance}


def with_marks(name: str, score: Mapping[str, Any]) -> dict[str, Any]:
    """Return a score with its `bar`, and with the number of tokens `m` that it depends on, or None."""
    return {**score, "bar": bar(score), "m": measured_m(name, score)}


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


def overview(tasks: Mapping[str, Scores], count: int = 6) -> list[str]:
    """Return the scores of a table over all tasks, at most `count`: those that most tasks have; none for one task."""
    if len(tasks) < 2:
        return []
    having = Counter(name for scores in tasks.values() for name in headlines(scores, len(scores)))
    chosen = {name for name, _ in having.most_common(count)}
    return [name for name in having if name in chosen]


@dataclass(frozen=True, slots=True)
class OtherRun:
    """Another run that the report shows for comparison."""

    letter: str
    run: Mapping[str, Any]
    """run.json."""
    document: Mapping[str, Any]
    """results.json."""

    def scores(self, task: str) -> Scores:
        """Return its scores of a task; none if it did not run the task."""
        found: Scores = self.document["scores"].get(task, {})
        return found


def other_runs(others: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[OtherRun]:
    """Return other runs, named B, C, ...; A is the run of the report."""
    letters = [ascii_uppercase[1 + i] if i < 25 else f"#{i + 2}" for i in range(len(others))]
    return [OtherRun(letter, run, document) for letter, (run, document) in zip(letters, others, strict=True)]


def compared_scores(task: str, document: Mapping[str, Any], others: Sequence[OtherRun]) -> dict[str, Any] | None:
    """Return the scores of one task in this run and in others, and which of those have other samples.

    Returns:
        `rows`: score -> a score (or None) for A and each other run; `unequal_m`: the scores among them that are
        measured of unequal numbers of tokens; `different`: letters of the runs whose task has other settings, another
        version or another number of samples; `asked`: by letter, how the other runs put its questions; `unlike`: by
        letter, the scores left out since their `protocol` (in the details) is another than A's.
        None if no other run has the task.
    """
    own = document["scores"][task]
    having = [other for other in others if other.scores(task)]
    if not having:
        return None
    unlike = {
        other.letter: [
            name for name, score in other.scores(task).items() if _protocol(score) != _protocol(own.get(name))
        ]
        for other in having
    }
    rows = {
        name: [score, *(None if name in unlike.get(o.letter, ()) else o.scores(task).get(name) for o in others)]
        for name, score in own.items()
    }
    shared = {name: scores for name, scores in rows.items() if any(scores[1:])}
    own_samples = _samples_of(document, task)
    asked = {
        other.letter: asked_as(other.document["configs"][task], other.run["config"].get("system")) for other in having
    }
    return {
        "rows": {name: [score and with_marks(name, score) for score in scores] for name, scores in shared.items()},
        "unequal_m": [name for name, scores in shared.items() if unequal_m((name, score) for score in scores)],
        "different": [other.letter for other in having if _samples_of(other.document, task) != own_samples],
        "asked": asked,
        "unlike": {letter: shown for letter, names in unlike.items() if (shown := [n for n in names if n in own])},
    }


def _protocol(score: Mapping[str, Any] | None) -> Any:
    """Return the protocol that a score was measured by, if it says one."""
    return ((score or {}).get("detail") or {}).get("protocol")


def _samples_of(document: Mapping[str, Any], task: str) -> tuple[Any, ...]:
    """Return what decides which samples a run asked, from results.json: not how it asked them."""
    return _of_parts(document["configs"][task]), document["versions"][task], document["n-samples"][task]


def _of_parts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's settings without those of asking, in its parts too."""
    own = {key: value for key, value in config.items() if key not in _OF_ASKING}
    return own | ({"parts": [_of_parts(part) for part in own["parts"]]} if "parts" in own else {})


def run_facts(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts needed to judge or repeat a run, from run.json, as label -> text."""
    model, versions = run["model"], run["versions"]
    plain = {key: value for key, value in model.items() if isinstance(value, (str, int, float)) and value != ""}
    plugins = [f"{name} ({p['distribution']} {p['version']})" for name, p in versions["plugins"].items()]
    config = run["config"]
    generation = ", ".join(f"{key} {value}" for key, value in (config.get("gen") or {}).items())
    template = ", ".join(f"{key} {value}" for key, value in (config.get("chat_template_args") or {}).items())
    asked = {"System prompt": config.get("system"), "Generation": generation, "Chat template arguments": template}
    packages = {**{k: v for k, v in versions.items() if k not in ("plugins", "platform")}, **model.get("versions", {})}
    return {
        "Run": run["run_id"],
        "Begun": run["created"][:19],
        "Model": ", ".join(f"{key} {value}" for key, value in plain.items()),
        "Arguments": json.dumps(run["config"]["model_args"]) if run["config"]["model_args"] else "none",
        **{label: text for label, text in asked.items() if text},
        "Versions": ", ".join(f"{name} {version}" for name, version in packages.items() if version),
        "Plugins": ", ".join(plugins) or "none",
        "Platform": versions["platform"],
        "Git commit": run["git"] or "not in a git repository",
        "Config digest": run["digest"],
    }
