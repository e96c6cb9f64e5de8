"""From one stored run to the `Evidence` of its tasks: records and results.json in, numbers with intervals out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vtbench.scoring.credit import GRAPH
from vtbench.stats import ratio
from vtbench.types import Record
from vtbench_analysis.evidence import SCORES, Evidence, Measured, Part
from vtbench_analysis.opening import StoredRun
from vtbench_analysis.paired import Reading, difference
from vtbench_analysis.probes import CUE, cue_of
from vtbench_analysis.readings import answers, descriptions, rankings

_SIDES = ("left", "right", "above", "below", "where")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "shape": ("shape",),
    "colour": ("colour", "binding"),
    "texture": ("shape", "texture"),
    "background": ("background",),
    **dict.fromkeys(_SIDES, ("position", "binding")),
    **dict.fromkeys(("front", "behind"), ("occlusion", "binding")),
    **dict.fromkeys(("offset_x", "offset_y"), ("fine_offset", "binding")),
    GRAPH: ("shape", "colour", "texture", "size", "count", "position", "binding"),
}
"""The cues that a kind of question cannot be answered without, by the names of the metric `cues`."""


def gather(run: StoredRun, task: str) -> Evidence:
    """Return what a run says of one of its tasks."""
    records = [record for record in run.records(task) if record.error is None]
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.kind].append(record)
    parts = [part for kind, group in sorted(groups.items()) if (part := _part(kind, group, _needs([kind])))]
    # closed answers and scene graphs are two kinds of score, which have no common mean
    whole = _part("", records, _needs(groups)) if len(parts) != 1 else parts[0]
    scores = run.scores(task)
    cues = [cue for name, score in scores.items() if name.startswith(CUE) and (cue := cue_of(name, score))]
    numbers = {name: found for name in SCORES if name in scores and (found := _measured(scores[name]))}
    return Evidence(
        task,
        whole,
        tuple(parts),
        {cue.name: cue for cue in cues},
        numbers,
        {
            name: tuple(s["flags"])
            for name, s in scores.items()
            if s["flags"] and (name in SCORES or name.startswith(CUE))
        },
    )


def _needs(kinds: Sequence[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Cues of all kinds together; none where one kind's are not known."""
    if not all(kind in NEEDS for kind in kinds):
        return ()
    return tuple(dict.fromkeys(cue for kind in kinds for cue in NEEDS[kind]))


def _part(kind: str, records: Sequence[Record], needs: tuple[str, ...]) -> Part | None:
    """Weigh answers of one sort; None where they were not scored, or are too few for an interval."""
    scored = [record for record in records if record.scores.get("accuracy")]
    if scored:
        return _closed(kind, scored, needs)
    scored = [record for record in records if record.scores.get("scene_graph")]
    return _open(kind, scored, needs) if scored else None


def _closed(kind: str, records: Sequence[Record], needs: tuple[str, ...]) -> Part | None:
    seen = [record.scores["accuracy"] for record in records]
    text = answers(records, seen)["acc"]
    ranks = [record.scores.get("rank_accuracy") or {} for record in records]
    if ranked := all(ranks):
        order = rankings(records, ranks)["rank_acc"]
        knows, form = _share(order), _cost(text, order)
    else:
        read = [pair for pair in zip(records, seen, strict=True) if pair[1]["answer"] is not None]
        knows = _share(answers(*zip(*read, strict=True))["acc"]) if read else None
        form = _share(_marked(records, [observation["answer"] is None for observation in seen]))
    choices = [len(record.choices) for record in records]
    chance = sum(1 / n for n in choices) / len(choices) if all(choices) else 0.0
    written = _share(text)
    return Part(kind, len(records), chance, written, knows, form, ranked, needs) if written and form else None


def _open(kind: str, records: Sequence[Record], needs: tuple[str, ...]) -> Part | None:
    seen = [record.scores["scene_graph"] for record in records]
    read = [pair for pair in zip(records, seen, strict=True) if pair[1]["parsed"]]
    knows = _share(descriptions(*zip(*read, strict=True))["tuple_f1"]) if read else None
    form = _share(_marked(records, [not observation["parsed"] for observation in seen]))
    written = _share(descriptions(records, seen)["tuple_f1"])
    return Part(kind, len(records), 0.0, written, knows, form, False, needs) if written and form else None


def _marked(records: Sequence[Record], marks: Sequence[bool]) -> Reading:
    return Reading(np.array(marks, dtype=float), np.ones(len(marks)), tuple(record.cluster for record in records))


def _share(reading: Reading) -> Measured | None:
    found = ratio(reading.numerators.tolist(), reading.denominators.tolist(), reading.clusters)
    return Measured(found.value, *found.interval) if found.value is not None and found.interval else None


def _cost(text: Reading, order: Reading) -> Measured | None:
    """Return how much better the ranking is than the text, answer by answer."""
    found = difference(text, order)
    if found.value is None or (found.interval is None and "identical" not in found.flags):
        return None
    return Measured(found.value, *(found.interval or (found.value, found.value)))


def _measured(score: Mapping[str, Any]) -> Measured | None:
    if score["value"] is None or not score["interval"]:
        return None
    return Measured(score["value"], *score["interval"])
