"""Cue survival: accuracy of every probe for every cue at every stage, with controls, and of the model's own answers.

Accuracy is balanced (the mean over labels of the recall), on samples whose cluster is not in the training set.
Its chance is 1 / labels whatever the labels' frequencies, and its interval is clustered by scene and widened, as the
answers of probes that share most of their training samples are not independent.

Controls, at the headline stage: `shuffled` (labels permuted over samples) shows what a probe of this size memorises;
`grey` (the same tokens for every image) shows what the hint alone reveals. The stage `untrained` is the third control:
what a random layer makes of the patches.

The last stage is the model's own answer. A closed question is about one or two cues (the colour of the star: its
colour, and the binding of the colour to the star). A scene graph is about many, and its parts are counted as
`vtbench.scoring.scene_graph` matches them to the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import numpy as np

from vtbench.scoring.answers import answer_type, exact_match, true_choices
from vtbench.scoring.credit import graph_counts
from vtbench.stats import Estimate, ratio
from vtbench.types import Sample
from vtbench_probes.attention_probe import predict as attention_predict
from vtbench_probes.errors import ProbeError
from vtbench_probes.linear_probe import predict as linear_predict
from vtbench_probes.probe_data import Problem, Tokens, deal_folds, shuffled

PROBES: Mapping[str, Callable[[Tokens, Sequence[Problem], np.ndarray], np.ndarray]] = {
    "linear": linear_predict,
    "attention": attention_predict,
}
REFERENCE = 1.0
"""Reference accuracy of retention: an oracle that knows the scene. The image shows the whole scene, so the pixels hold
every label; how little of that a small probe decodes is shown by the stage `pixels`."""
WIDEN = 1.25
"""Factor on standard errors. Nobody can estimate the variance of k-fold accuracy without bias (Bengio and
Grandvalet, JMLR 5, 2004); measured at chance, accuracies spread by 1.0 to 1.25 times the standard errors of independent
answers, and well above chance by as much as those say (docs/cues.md)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One accuracy: a cue at a stage, by a probe, under a control or none."""

    cue: str
    stage: str
    probe: str
    """`linear`, `attention`; empty for the model's own answer."""
    control: str
    """`shuffled`, `grey`, or empty."""
    accuracy: float | None
    low: float | None
    high: float | None
    stderr: float | None
    chance: float | None
    retention: float | None
    n: int

    def as_dict(self) -> dict[str, object]:
        """Return JSON-able data, rounded to four digits."""
        return {key: round(v, 4) if isinstance(v, float) else v for key, v in asdict(self).items()}


def retention(accuracy: float, chance: float, reference: float = REFERENCE) -> float:
    """Return the retention of a cue: 0 at chance, 1 at the reference. Not clipped.

    retention = (acc - chance) / (acc_reference - chance): Cohen's kappa of a rater whose marginals are those of
    chance where the reference is 1 (Cohen 1960, Educational and Psychological Measurement 20:37).

    Raises:
        ProbeError: the reference is no better than chance.

    >>> retention(0.625, chance=0.25)
    0.5
    """
    if reference == chance:
        raise ProbeError(f"the reference, {reference}, is no better than chance: there is nothing to retain")
    return (accuracy - chance) / (reference - chance)


def probe_readings(
    stages: Mapping[str, Tokens], problems: Sequence[Problem], clusters: Sequence[str], headline: str
) -> list[Reading]:
    """Train and test every probe of every problem at every stage, and the controls at the headline stage.

    Args:
        stages: tokens by stage, all of the same n samples.
        problems: over these samples.
        clusters: n names; samples of one name share a scene.
        headline: the stage of the controls `shuffled` and `grey`.
    """
    if not problems:
        return []
    fold_n = deal_folds(clusters)
    dealt = [shuffled(problem) for problem in problems]

    def read(stage: str, control: str, tokens: Tokens, asked: Sequence[Problem]) -> Iterator[Reading]:
        for probe, predict in PROBES.items():
            for problem, said_n in zip(asked, predict(tokens, asked, fold_n), strict=True):
                found = balanced_accuracy(said_n, problem, clusters)
                yield _reading(problem.cue, stage, probe, control, found, problem.chance)

    readings = [one for stage, tokens in stages.items() for one in read(stage, "", tokens, problems)]
    readings += read(headline, "shuffled", stages[headline], dealt)
    readings += read(headline, "grey", stages[headline].grey(), problems)
    return readings


def balanced_accuracy(said_n: np.ndarray, problem: Problem, clusters: Sequence[str]) -> Estimate:
    """Return the mean recall of the problem's labels, with a widened interval clustered by scene."""
    asked = problem.label_n >= 0
    right = (said_n == problem.label_n)[asked]
    weights = problem.weight_n[asked]
    names = [clusters[i] for i in np.flatnonzero(asked).tolist()]
    return ratio((right * weights).tolist(), weights.tolist(), names, widen=WIDEN)


CUES_OF: Mapping[str, tuple[str, ...]] = {
    "shape": ("shape",),
    "colour": ("colour", "binding"),
    "texture": ("texture",),
    "background": ("background",),
    **dict.fromkeys(("left", "right", "above", "below", "where"), ("position",)),
    **dict.fromkeys(("front", "behind"), ("occlusion",)),
    **dict.fromkeys(("offset_x", "offset_y"), ("fine_offset",)),
}
"""The cues that each kind of closed question is about."""


class CueCounts(TypedDict):
    """What a model's answer to one sample shows about a cue; a scene graph counts its parts."""

    right: float
    asked: float
    chance: float | None
    """Accuracy of guessing; None for a part of a scene graph, which has no list of choices."""


def count_cues(text: str, sample: Sample) -> dict[str, CueCounts]:
    """Return counts of an answer by cue; empty where the sample is about no cue."""
    if answer_type(sample) == "graph":
        counts = graph_counts(text, sample)
        parts = {
            "count": (float(counts.objects_said == counts.objects_true), 1.0),
            "shape": (counts.objects_right, counts.objects_true),
            "size": (counts.size_right, counts.objects_true),
            "colour": (counts.colour_right, counts.objects_true),
            "texture": (counts.texture_right, counts.objects_true),
            "position": (counts.relations_right, counts.relations_true),
        }
        return {cue: CueCounts(right=right, asked=asked, chance=None) for cue, (right, asked) in parts.items()}
    if not sample.choices or not sample.scene_hash:  # the kinds of a user's own questions are a user's words
        return {}
    right = float(exact_match(text, sample)[1])
    one = CueCounts(right=right, asked=1.0, chance=len(true_choices(sample)) / len(sample.choices))
    return dict.fromkeys(CUES_OF.get(sample.kind, ()), one)


def answer_readings(answers: Sequence[Mapping[str, CueCounts]], clusters: Sequence[str]) -> list[Reading]:
    """Return the readings of the stage `answer`: accuracy of the model itself on samples about a cue."""
    readings = []
    for cue in dict.fromkeys(cue for answer in answers for cue in answer):
        mine = [(answer[cue], cluster) for answer, cluster in zip(answers, clusters, strict=True) if cue in answer]
        found = ratio([a["right"] for a, _ in mine], [a["asked"] for a, _ in mine], [cluster for _, cluster in mine])
        chances = [a["chance"] for a, _ in mine if a["chance"] is not None]
        chance = float(np.mean(chances)) if len(chances) == len(mine) else None
        readings.append(_reading(cue, "answer", "", "", found, chance))
    return readings


def _reading(cue: str, stage: str, probe: str, control: str, found: Estimate, chance: float | None) -> Reading:
    low, high = found.interval or (None, None)
    kept = None if found.value is None or chance is None else retention(found.value, chance)
    return Reading(cue, stage, probe, control, found.value, low, high, found.stderr, chance, kept, found.n)
