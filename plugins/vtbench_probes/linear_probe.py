"""The linear probe: multinomial logistic regression on a fixed view of the tokens.

The features of a sample depend on the hint of the cue:

    none     the mean of all tokens
    place    the token nearest to it, and the mean of all
    shape    the mean of all, one-hot by shape: in effect a separate probe for each shape
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from vtbench_probes.cues import GRID
from vtbench_probes.probe_data import FOLDS, Problem, Tokens, cell_middles


def predict(tokens: Tokens, problems: Sequence[Problem], fold_n: np.ndarray) -> np.ndarray:
    """Return out-of-fold predictions (P, n) of label numbers; -1 where a sample does not have the cue."""
    return np.stack([_predict_one(probe_features(tokens, problem), problem, fold_n) for problem in problems])


def probe_features(tokens: Tokens, problem: Problem) -> np.ndarray:
    """Return the features of each sample, (n, features)."""
    mean_nr = tokens.coordinates.mean(axis=1)
    mean_nr = mean_nr - mean_nr.mean(axis=0)
    mean_nr /= np.maximum(mean_nr.std(axis=0), 1e-6)
    if problem.hint == "place":
        hint_n2 = cell_middles(problem.hint_n, GRID)
        nearest_n = np.square(hint_n2[:, None] - tokens.places).sum(axis=2).argmin(axis=1)
        return np.concatenate([tokens.coordinates[np.arange(len(mean_nr)), nearest_n], mean_nr], axis=1)
    if problem.hint == "shape":
        word_nw = np.eye(len(problem.words), dtype=mean_nr.dtype)[problem.hint_n]
        by_word = (word_nw[:, :, None] * mean_nr[:, None]).reshape(len(mean_nr), -1)
        return np.concatenate([by_word, word_nw], axis=1)
    return mean_nr


def _predict_one(features_nf: np.ndarray, problem: Problem, fold_n: np.ndarray) -> np.ndarray:
    asked = problem.label_n >= 0
    predicted = np.full(len(asked), -1)
    for fold in range(FOLDS):
        train, test = asked & (fold_n != fold), asked & (fold_n == fold)
        if test.any() and len(np.unique(problem.label_n[train])) > 1:
            probe = LogisticRegression(class_weight="balanced", tol=1e-3, max_iter=200)
            predicted[test] = probe.fit(features_nf[train], problem.label_n[train]).predict(features_nf[test])
    return predicted
