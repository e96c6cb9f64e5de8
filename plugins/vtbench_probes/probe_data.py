"""Training data of the probes: a `Problem` of each cue over a task's samples, a stage's `Tokens`, folds by scene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vtbench.stats import sorted_cluster_numbers
from vtbench_probes.cues import CUES, Hint

MIN_SAMPLES = 100
"""A cue with fewer labelled samples is not probed."""
MIN_LABEL = 10
"""A label of fewer samples is left out: every fold must hold it in both training and test set."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """One classification problem: a cue over n samples. A sample without the cue has label -1 and weight 0."""

    cue: str
    hint: Hint
    hint_n: np.ndarray
    """(n,) int: the cell's number, the shape's number in `words`, or 0."""
    words: tuple[str, ...]
    """The shapes that serve as hints."""
    label_n: np.ndarray
    """(n,) int, in `labels`."""
    labels: tuple[str, ...]
    weight_n: np.ndarray
    """(n,) float: every label has the same total weight, and all samples together weigh their number."""

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing."""
        return 1 / len(self.labels)


CueLabels = Mapping[str, Sequence[str]]
"""By cue: the hint and the label."""


def build_problem(cue: str, asked: Sequence[CueLabels]) -> Problem | str:
    """Return the problem of a cue over these samples, or the flag that says why there is none."""
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
    hints = [one[cue][0] if cue in one else "" for one in asked]
    words = tuple(sorted({word for word, label in zip(hints, label_n, strict=True) if label >= 0}))
    kind = CUES[cue].hint
    numbers = {word: int(word) if kind == "place" else i for i, word in enumerate(words)}
    hint_n = np.array([numbers.get(word, 0) for word in hints])
    return Problem(cue, kind, hint_n, words if kind == "shape" else (), label_n, labels, balanced(label_n, len(labels)))


def balanced(label_n: np.ndarray, labels: int) -> np.ndarray:
    """Return weights under which every label has the same total weight.

    >>> balanced(np.array([0, 0, 0, 1, -1]), 2).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0, 0.0]
    """
    counts = np.bincount(label_n[label_n >= 0], minlength=labels)
    each = counts.sum() / (labels * np.maximum(counts, 1))
    return np.where(label_n >= 0, each[label_n], 0.0)


def shuffled(problem: Problem, seed: int = 0) -> Problem:
    """Return the problem with its labels permuted over its samples: a control task without signal.

    Hewitt and Liang, "Designing and interpreting probes with control tasks", EMNLP 2019.
    """
    mine = np.flatnonzero(problem.label_n >= 0)
    label_n = problem.label_n.copy()
    label_n[mine] = np.random.default_rng(seed).permutation(label_n[mine])
    return replace(problem, label_n=label_n, weight_n=balanced(label_n, len(problem.labels)))


def deal_folds(clusters: Sequence[str], seed: int = 0) -> np.ndarray:
    """Return the fold of each sample, (n,). Samples of one cluster share a fold, so that no test set holds a twin."""
    cluster_n = sorted_cluster_numbers(clusters)
    fold: np.ndarray = np.random.default_rng(seed).permutation(cluster_n.max(initial=0) + 1)[cluster_n] % FOLDS
    return fold


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one stage, as the probes take them."""

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
        """Return the mean tokens for every sample, a control: they carry no information about the image."""
        return replace(self, coordinates=np.broadcast_to(self.coordinates.mean(axis=0), self.coordinates.shape))


def cell_middles(cell_n: np.ndarray, grid: int) -> np.ndarray:
    """Return x and y (n, 2) of the middles of cells, as fractions of the image.

    >>> cell_middles(np.array([0, 9]), 8).tolist()
    [[0.0625, 0.0625], [0.1875, 0.1875]]
    """
    middles: np.ndarray = (np.stack([cell_n % grid, cell_n // grid], axis=1) + 0.5) / grid
    return middles
