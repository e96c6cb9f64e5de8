"""Redundancy of pairs of tokens by nearest neighbours (KSG), beside the Gaussian estimate on the same coordinates.

Nearest neighbours need few coordinates, so this checks the Gaussian copula of the Redundancy Score and does not replace
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.stats import jackknife_stderr
from vtbench.types import Score
from vtbench_redundancy.errors import InputError
from vtbench_redundancy.estimators.image_groups import assign_groups, jackknife_subsets
from vtbench_redundancy.estimators.mutual_information import Estimator, mutual_information
from vtbench_redundancy.estimators.normal_scores import normal_scores
from vtbench_redundancy.features.array_features import extract_features
from vtbench_redundancy.inputs.array_stream import Array
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol, few_images_flag
from vtbench_redundancy.scores.score_writer import ScoreWriter, flag_synergy

PAIRS = 8
MOST_COORDINATES = 3


@dataclass(frozen=True, slots=True)
class PairRedundancy:
    """RS of pairs of tokens, twice."""

    rs: Score
    """By nearest neighbours, less their error on Gaussian data of the same correlations; uncorrected in `raw`."""
    rs_gaussian: Score
    """By the Gaussian copula, on the same tokens, coordinates and pixels."""
    difference: Score
    """The first less the second: what the copula does not see."""

    def scores(self) -> dict[str, Score]:
        """The three by name."""
        return {"rs": self.rs, "rs_gaussian": self.rs_gaussian, "rs_difference": self.difference}


def pair_redundancy(
    tokens: Array,
    images: Array | None = None,
    *,
    patches: Array | None = None,
    boxes: np.ndarray | None = None,
    clusters: Sequence[str] | None = None,
    protocol: Protocol = Protocol(r=1),  # noqa: B008
    device: str | torch.device = "cpu",
) -> PairRedundancy:
    """Measure the redundancy of pairs of tokens by the k-nearest-neighbour estimator.

    RS = 1 − Σ I(Z_i, Z_j ; X̃_ij) / Σ (I(Z_i ; X̃_ij) + I(Z_j ; X̃_ij)) over 8 random pairs of the measured tokens, X̃_ij
    being the leading coordinate of each of their two places (of two places of the image, where tokens have none).

    KSG underestimates strong dependence, and more so for two tokens than for one as they have more coordinates, so that
    independent tokens would look redundant. It is therefore corrected by its value on Gaussian draws with the same
    correlations: each information is the Gaussian estimate, plus the KSG estimate on the data, less that on the draws.

    Args:
        tokens: (n, N, d), as the other arguments those of `suite.redundancy_score`.
        images: (n, H, W, C).
        patches: (n, P, p).
        boxes: (N, 4).
        clusters: n names.
        protocol: its `r` must be at most 3.
        device: where the coordinates are computed; neighbours are looked for on the CPU.

    Raises:
        InputError: more than 3 coordinates a token, or what `suite.redundancy_score` finds.

    >>> pixels = np.random.default_rng(0).standard_normal((300, 4, 1)).astype(np.float32)
    >>> round(pair_redundancy(np.repeat(pixels[:, :1], 2, axis=1), patches=pixels).rs.value, 1)
    0.5
    """
    if (wanted := protocol.coordinates(2)) > MOST_COORDINATES:
        raise InputError(f"r = {wanted} coordinates a token; nearest neighbours take at most {MOST_COORDINATES}")
    seen = extract_features(tokens, images, patches, boxes, protocol, device, clusters, spectra=0)
    n, _, m, r = seen.tokens.shape
    groups = assign_groups(n, seen.clusters, protocol.groups, protocol.seed)
    if n - max(groups.sizes) < MIN_IMAGES:  # what the jackknife leaves
        raise InputError(f"{n} images are too few for pairs of tokens; give at least 60, better 2,000")
    generator = np.random.default_rng(protocol.seed)
    places = seen.patches.shape[1]
    z = _scores(seen.tokens[groups.order, 0])
    x = _scores(seen.patches[groups.order, :, 0])
    x = x + protocol.floor**0.5 * generator.standard_normal(x.shape)
    every = [(i, j) for i in range(m) for j in range(i + 1, m)]
    pairs = [every[k] for k in sorted(generator.permutation(len(every))[:PAIRS])]
    data = [np.column_stack([z[:, i], z[:, j], x[:, i % places], x[:, j % places]]) for i, j in pairs]
    like = [generator.multivariate_normal(np.zeros(2 * r + 2), _correlations(pair), n) for pair in data]
    group = np.repeat(np.arange(protocol.groups), groups.sizes)
    kept = [keep[group] for keep in jackknife_subsets(groups.sizes, float("inf")).bool().numpy()]

    def measure(views: list[np.ndarray], estimator: Estimator) -> Tensor:
        """Σ I(Z_i, Z_j ; X̃_ij) and Σ (I(Z_i ; X̃_ij) + I(Z_j ; X̃_ij)) for each subset of the images, (T, 2)."""
        return torch.tensor([_nats([view[rows] for view in views], r, estimator) for rows in kept])

    def rs(nats_T2: Tensor) -> tuple[Tensor, bool]:
        """RS, and whether there is too little information for it."""
        joint, each = nats_T2.T
        return 1 - joint / each, float(each[0]) <= 3 * jackknife_stderr(each[1 : protocol.groups + 1].tolist())

    near, gaussian = measure(data, "ksg"), measure(data, "gaussian")
    (value, low), (of_gaussian, low_gaussian) = rs(gaussian + near - measure(like, "ksg")), rs(gaussian)
    facts: dict[str, Any] = {"protocol": protocol.name, "m": 2, "n": n, "r": r, "r_x": 2, "pairs": len(pairs)}
    write = ScoreWriter(n, protocol, facts, few_images_flag(n) + groups.flags)
    raw = None if low else float(rs(near)[0][0])
    return PairRedundancy(
        flag_synergy(write(value, low, estimator="ksg", raw=raw)),
        write(of_gaussian, low_gaussian, estimator="gaussian"),
        write(value - of_gaussian, low or low_gaussian),
    )


def _nats(views: list[np.ndarray], r: int, estimator: Estimator) -> tuple[float, float]:
    """Σ I(Z_i, Z_j ; X̃_ij) and Σ (I(Z_i ; X̃_ij) + I(Z_j ; X̃_ij)); a view's columns are Z_i, Z_j and X̃_ij."""
    joint = each = 0.0
    for view in views:
        pixels = view[:, 2 * r :]
        joint += mutual_information(view[:, : 2 * r], pixels, estimator=estimator)
        each += mutual_information(view[:, :r], pixels, estimator=estimator)
        each += mutual_information(view[:, r : 2 * r], pixels, estimator=estimator)
    return joint, each


def _correlations(columns: np.ndarray) -> np.ndarray:
    """Correlations of the columns; a constant one has none with the others."""
    centred = columns - columns.mean(axis=0)
    spread = np.where(centred.any(axis=0), centred.std(axis=0), 1)
    correlations: np.ndarray = (centred / spread).T @ (centred / spread) / len(columns)
    return correlations


def _scores(coordinates: np.ndarray) -> np.ndarray:
    scores: np.ndarray = normal_scores(torch.as_tensor(coordinates)).cpu().numpy()
    return scores
