"""Evidence for a diagnosis: what a stored run measured on one task, as numbers with 95 % intervals.

Accuracies are recomputed from the records, by kind of question. Probe accuracies and scores of the visual tokens come
from results.json: a score `cue_<name>` is the accuracy of a probe on the tokens at the connector's output; its details
hold the `readings` of every stage, probe and control, and the `reference` accuracy that retention is relative to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vtbench.scoring.metrics import chance
from vtbench.stats import Estimate, RatioTerms, ratio_difference
from vtbench.types import Record
from vtbench_analysis.comparison.ratio_terms import accuracy_terms, rank_accuracy_terms, scene_graph_terms
from vtbench_analysis.comparison.score_rows import ratio_value
from vtbench_analysis.stored_run import StoredRun
from vtbench_redundancy.scores.stored_scores import with_details

TOKEN_SCORES = (
    "rs", "n_eff_16", "discarded", "cue_information", "r_pix", "delta_rs", "n_eff", "drop_area", "drop_f95", "carriers",
    "uncarried", "unique", "dead", "sink",
)  # fmt: skip
"""Scores of the visual tokens that a diagnosis uses or prints."""
CUE_PREFIX = "cue_"
LOST_RETENTION = 0.5
"""A cue is lost where its retention is significantly below this."""
_STAGES_BEFORE_CONNECTOR = ("pixels", "untrained", "encoder")
"""The image, the image through an untrained layer, the vision tower."""
_DIRECTIONS = ("left", "right", "above", "below", "where")
REQUIRED_CUES: Mapping[str, tuple[str, ...]] = {
    "shape": ("shape",),
    "colour": ("colour", "binding"),
    "texture": ("shape", "texture"),
    "background": ("background",),
    **dict.fromkeys(_DIRECTIONS, ("position", "binding")),
    **dict.fromkeys(("front", "behind"), ("occlusion", "binding")),
    **dict.fromkeys(("offset_x", "offset_y"), ("fine_offset", "binding")),
    "graph": ("shape", "colour", "texture", "size", "count", "position", "binding"),
}
"""By kind of question, the cues that it cannot be answered without. The names are those of the metric `cues`."""


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """Answers to one kind of question, or to all questions of a task."""

    kind: str
    """Empty for the whole task."""
    n: int
    chance: float
    """Accuracy of a uniform guess; 0 where answers are open-ended."""
    accuracy: Estimate
    """Of the answers as written: accuracy, or tuple F1 of scene graphs."""
    content_accuracy: Estimate | None
    """The same with the answer's format put aside: accuracy by likelihood ranking where choices were ranked, else
    accuracy of the answers that could be parsed; None where none could."""
    format_cost: Estimate
    """What the format costs: `content_accuracy` minus `accuracy` on the same samples where choices were ranked, else
    the share of answers that could not be parsed."""
    ranked: bool
    """Whether choices were ranked, which decides the meaning of the two fields above."""
    required_cues: tuple[str, ...]
    """Cues without which the questions cannot be answered; empty where they are not known."""


@dataclass(frozen=True, slots=True)
class CueProbe:
    """How well a probe decodes one cue from the visual tokens that enter the decoder."""

    name: str
    accuracy: Estimate
    chance: float
    retention: Estimate
    """(accuracy - chance) / (reference - chance): 1 nothing is lost, 0 everything."""
    best_before: Estimate | None = None
    """The best retention at a stage before the connector: pixels, pixels through an untrained layer, vision tower."""
    lost_at: str = ""
    """The first stage, vision tower or connector, with retention significantly below one half; empty if none is."""


PROPERTY_OF_CUE = {
    "shape": "shape", "colour": "colour", "texture": "texture", "size": "size", "position": "position",
    "count": "shape", "binding": "shape",
}  # fmt: skip
"""By cue, the property in the details of `cue_information` without which a linear reader does not find it."""


@dataclass(frozen=True, slots=True)
class LinearCue:
    """How much of one property of the objects a linear reader of the visual tokens finds."""

    name: str
    """shape, position, colour, texture or size."""
    explained: Estimate
    """Share of its variance that is explained, from the details of `cue_information`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run measured on one task."""

    task: str
    overall: AnswerGroup | None
    """All answers together; None where no answers were scored."""
    by_kind: tuple[AnswerGroup, ...] = ()
    cues: Mapping[str, CueProbe] = field(default_factory=dict)
    """By name of the cue."""
    token_scores: Mapping[str, Estimate] = field(default_factory=dict)
    """Scores of the visual tokens by name: `rs`, `delta_rs`, `discarded`, `drop_f95`, `carriers`, ..."""
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Flags by score, of token scores and of `cue_<name>`, those without a value included."""
    linear_cues: Mapping[str, LinearCue] = field(default_factory=dict)
    """By property of the objects."""

    @property
    def answers_need_tokens(self) -> bool | None:
        """Whether answers with all visual tokens are better than with none; None without a drop curve."""
        if "drop_area" in self.token_scores:
            return True
        return False if "no_signal" in self.flags.get("drop_area", ()) else None

    @property
    def partial_paths(self) -> tuple[str, ...]:
        """The token scores whose tokens are a part of what the decoder is told of the image."""
        return tuple(name for name, flags in self.flags.items() if "partial_path" in flags)


def collect_evidence(run: StoredRun, task: str) -> Evidence:
    """Return what a run measured on one of its tasks."""
    records = [record for record in run.records(task) if record.error is None]
    of_kind: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        of_kind[record.kind].append(record)
    groups = [
        group
        for kind, members in sorted(of_kind.items())
        if (group := _answer_group(kind, members, _required_cues(members)))
    ]
    # closed answers and scene graphs are scored on different scales and have no common mean
    overall = _answer_group("", records, _required_cues(records)) if len(groups) != 1 else groups[0]
    scores = with_details(run.scores(task))
    probed = [name for name in scores if name.startswith(CUE_PREFIX) and name not in TOKEN_SCORES]
    cues = [cue for name in probed if (cue := cue_probe(name, scores[name]))]
    return Evidence(
        task,
        overall,
        tuple(groups),
        {cue.name: cue for cue in cues},
        {name: found for name in TOKEN_SCORES if name in scores and (found := _stored_score(scores[name]))},
        {
            name: tuple(score["flags"])
            for name, score in scores.items()
            if score["flags"] and (name in TOKEN_SCORES or name.startswith(CUE_PREFIX))
        },
        linear_cues(scores.get("cue_information", {})),
    )


def cue_probe(name: str, score: Mapping[str, Any]) -> CueProbe | None:
    """Return the probe behind a score `cue_<name>` of results.json; None where it has no value.

    A probe is given the position or shape of the object that it is asked about. Where that alone reveals the cue (the
    probe is above chance on grey images), the accuracy on grey images is taken as chance.
    """
    detail, accuracy = score["detail"], _stored_score(score)
    if accuracy is None:
        return None
    readings = [r for r in detail["readings"] if r["probe"] == detail["probe"] and r["accuracy"] is not None]
    grey = [r["accuracy"] for r in readings if r["control"] == "grey" and "told_gives_away" in score["flags"]]
    chance, reference = max([score["chance"], *grey]), detail["reference"]
    if chance >= reference:
        return None

    stages = {
        r["stage"]: Estimate(r["accuracy"], interval=(r["low"], r["high"])).rescaled(zero=chance, one=reference)
        for r in readings
        if not r["control"] and r["low"] is not None
    }
    before = [stages[stage] for stage in _STAGES_BEFORE_CONNECTOR if stage in stages]
    return CueProbe(
        name.removeprefix(CUE_PREFIX),
        accuracy,
        chance,
        accuracy.rescaled(zero=chance, one=reference),
        max(before, key=lambda kept: kept.value or 0.0, default=None),
        _lost_at(stages, ("encoder", detail["stage"])),
    )


_TOO_COARSE = frozenset({"few_images", "reduced", "subset"})
"""Flags of a reader of few images or coordinates, or of a part of the tokens: what it explains has another measure."""


def linear_cues(score: Mapping[str, Any]) -> dict[str, LinearCue]:
    """Return what a linear reader explains of each property, from the stored score `cue_information`; {} without it."""
    if _TOO_COARSE.intersection(score.get("flags", ())):
        return {}
    explained = score.get("detail", {}).get("explained", {})
    found = {}
    for name, row in explained.items():
        if row["share"] is not None and row["interval"]:
            low, high = row["interval"]
            found[name] = LinearCue(name, Estimate(row["share"], interval=(low, high)))
    return found


def _lost_at(stages: Mapping[str, Estimate], order: Sequence[str]) -> str:
    return next((stage for stage in order if stage in stages and stages[stage].high < LOST_RETENTION), "")


def _required_cues(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the cues of all kinds of question together; none if those of one kind are not known.

    Only scenes of the benchmark have kinds of a known meaning: those of a user's own questions are a user's words.
    """
    kinds = list(dict.fromkeys(record.kind for record in records))
    if not all(kind in REQUIRED_CUES for kind in kinds) or not all(record.scene_hash for record in records):
        return ()
    return tuple(dict.fromkeys(cue for kind in kinds for cue in REQUIRED_CUES[kind]))


def _answer_group(kind: str, records: Sequence[Record], required_cues: tuple[str, ...]) -> AnswerGroup | None:
    """Return the group's accuracy and format cost; None if it was not scored or is too small for an interval."""
    records = [record for record in records if not record.repeat]  # those that are ranked too
    scored = [record for record in records if record.scores.get("accuracy")]
    if scored:
        return _closed_answers(kind, scored, required_cues)
    scored = [record for record in records if record.scores.get("scene_graph")]
    return _scene_graphs(kind, scored, required_cues) if scored else None


def _closed_answers(kind: str, records: Sequence[Record], required_cues: tuple[str, ...]) -> AnswerGroup | None:
    observations = [record.scores["accuracy"] for record in records]
    written = accuracy_terms(records, observations)["acc"]
    rank_observations = [record.scores.get("rank_accuracy") or {} for record in records]
    if ranked := all(rank_observations):
        by_rank = rank_accuracy_terms(records, rank_observations)["rank_acc"]
        content, format_cost = _estimate(by_rank), _gain(written, by_rank)
    else:
        parsed = [pair for pair in zip(records, observations, strict=True) if pair[1]["answer"] is not None]
        content = _estimate(accuracy_terms(*zip(*parsed, strict=True))["acc"]) if parsed else None
        format_cost = _estimate(_share_terms(records, [o["answer"] is None for o in observations]))
    guessed = chance(records) or 0.0
    accuracy = _estimate(written)
    if not accuracy or not format_cost:
        return None
    return AnswerGroup(kind, len(records), guessed, accuracy, content, format_cost, ranked, required_cues)


def _scene_graphs(kind: str, records: Sequence[Record], required_cues: tuple[str, ...]) -> AnswerGroup | None:
    observations = [record.scores["scene_graph"] for record in records]
    parsed = [pair for pair in zip(records, observations, strict=True) if pair[1]["parsed"]]
    content = _estimate(scene_graph_terms(*zip(*parsed, strict=True))["tuple_f1"]) if parsed else None
    format_cost = _estimate(_share_terms(records, [not o["parsed"] for o in observations]))
    accuracy = _estimate(scene_graph_terms(records, observations)["tuple_f1"])
    if not accuracy or not format_cost:
        return None
    return AnswerGroup(kind, len(records), 0.0, accuracy, content, format_cost, False, required_cues)


def _share_terms(records: Sequence[Record], marks: Sequence[bool]) -> RatioTerms:
    clusters = tuple(record.cluster for record in records)
    return RatioTerms(np.array(marks, dtype=float), np.ones(len(marks)), clusters)


def _estimate(terms: RatioTerms) -> Estimate | None:
    found = ratio_value(terms)
    return found if found.interval else None


def _gain(written: RatioTerms, by_rank: RatioTerms) -> Estimate | None:
    """Return by how much likelihood ranking beats the written answers, paired by sample."""
    found = ratio_difference(by_rank, written)
    return found if found.interval else None


def _stored_score(score: Mapping[str, Any]) -> Estimate | None:
    if score["value"] is None or not score["interval"]:
        return None
    low, high = score["interval"]
    return Estimate(score["value"], interval=(low, high))
