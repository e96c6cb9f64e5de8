"""What was asked of a task's samples, as arrays that any probe can be trained on.

In: for each sample, what each cue was told and its label. Out: a `Problem` by cue, or why there is none; folds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vtbench_probes.cues import CUES, Hint

MIN_SAMPLES = 100
"""Fewer labelled samples are not probed."""
MIN_LABEL = 10
"""A label that fewer samples have is left out: every fold must be able to learn and to test it."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """One cue over n samples. A sample that it is not asked of has label -1, and weight 0."""

    cue: str
    told: Hint
    told_n: np.ndarray
    """(n,) int: the cell's number, the shape's number in `words`, or 0."""
    words: tuple[str, ...]
    """The shapes that are told."""
    label_n: np.ndarray
    """(n,) int, in `labels`."""
    labels: tuple[str, ...]
    weight_n: np.ndarray
    """(n,) float: every label weighs the same in sum, all samples together as much as there are."""

    @property
    def chance(self) -> float:
        """Balanced accuracy of one who sees nothing."""
        return 1 / len(self.labels)


Asked = Mapping[str, Sequence[str]]
"""By cue: what is told, and the label."""


def problem(cue: str, asked: Sequence[Asked]) -> Problem | str:
    """Return the problem that a cue poses over these samples, or the flag that says why it poses none."""
    counts = Counter(one[cue][1] for one in asked if cue in one)
    labels = tuple(sorted(label for label, count in counts.items() if count >= MIN_LABEL))
    if not counts:
        return "not_in_scenes"
    if len(counts) == 1:
        return "one_label"
    if len(labels) < 2 or sum(counts[label] for label in labels) < MIN_SAMPLES:
        return "few_samples"
    number = {label: i for i, label in enumerate(labels)}
    label_n = np.array([number.get(one[cue][1], -1) if cue in one else -1 for one in asked])
    told = [one[cue][0] if cue in one else "" for one in asked]
    words = tuple(sorted({word for word, label in zip(told, label_n, strict=True) if label >= 0}))
    kind = CUES[cue].told
    numbers = {word: int(word) if kind == "place" else i for i, word in enumerate(words)}
    told_n = np.array([numbers.get(word, 0) for word in told])
    return Problem(cue, kind, told_n, words if kind == "shape" else (), label_n, labels, balanced(label_n, len(labels)))


def balanced(label_n: np.ndarray, labels: int) -> np.ndarray:
    """Return weights under which each label counts the same.

    >>> balanced(np.array([0, 0, 0, 1, -1]), 2).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0, 0.0]
    """
    counts = np.bincount(label_n[label_n >= 0], minlength=labels)
    each = counts.sum() / (labels * np.maximum(counts, 1))
    return np.where(label_n >= 0, each[label_n], 0.0)


def shuffled(problem: Problem, seed: int = 0) -> Problem:
    """Return the problem with its labels dealt anew among its samples: a control that nothing can be learnt from.

    Hewitt and Liang, "Designing and interpreting probes with control tasks", EMNLP 2019.
    """
    mine = np.flatnonzero(problem.label_n >= 0)
    label_n = problem.label_n.copy()
    label_n[mine] = np.random.default_rng(seed).permutation(label_n[mine])
    return replace(problem, label_n=label_n, weight_n=balanced(label_n, len(problem.labels)))


def deal_folds(clusters: Sequence[str], seed: int = 0) -> np.ndarray:
    """Return each sample's fold (n,). Samples of one scene's cluster share theirs, so none is tested on a twin."""
    _, cluster_n = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    fold: np.ndarray = np.random.default_rng(seed).permutation(cluster_n.max(initial=0) + 1)[cluster_n] % FOLDS
    return fold


@dataclass(frozen=True, slots=True)
class Tokens:
    """A stage's tokens, as probes take them."""

    coordinates: np.ndarray
    """(n, m, r) float32, each coordinate of zero mean and unit variance over all tokens."""
    places: np.ndarray
    """(m, 2): x and y of the tokens' middles, as fractions of the image."""

    @classmethod
    def of(cls, coordinates_nmr: np.ndarray, places_m2: np.ndarray) -> Tokens:
        """Standardise raw coordinates; one that never varies becomes 0."""
        wide = coordinates_nmr.astype(np.float32)
        centred = wide - wide.mean(axis=(0, 1))
        return cls(centred / np.maximum(centred.std(axis=(0, 1)), 1e-6), places_m2)

    def grey(self) -> Tokens:
        """Return the same tokens for every sample, their mean: what tokens of a grey image can tell, nothing."""
        return replace(self, coordinates=np.broadcast_to(self.coordinates.mean(axis=0), self.coordinates.shape))


def cell_middles(cell_n: np.ndarray, grid: int) -> np.ndarray:
    """Return x and y (n, 2) of the middles of cells, as fractions of the image.

    >>> cell_middles(np.array([0, 9]), 8).tolist()
    [[0.0625, 0.0625], [0.1875, 0.1875]]
    """
    middles: np.ndarray = (np.stack([cell_n % grid, cell_n // grid], axis=1) + 0.5) / grid
    return middles
