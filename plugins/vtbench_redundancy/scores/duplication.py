"""What copies and noise do to the Redundancy Score, in closed form, from the tokens before either.

Each of S tokens Z_i stands k times, and each copy has Gaussian noise of its own, whose covariance is s² times the
token's. The mean of k copies is sufficient for all of them and has noise of s²/k, so that with I(v) and I_i(v) the
informations of all tokens and of token i under noise of variance v on whitened coordinates

    RS(k, s²) = 1 − I(s²/k) / (k Σ_i I_i(s²)),        without noise 1 − (1 − RS) / k.

The token floor is such a noise too. Of a random choice of copies, token i has c_i of them, and noise of s²/c_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from torch import Tensor

from vtbench.errors import VtbenchError
from vtbench_redundancy.estimators.gaussian import GroupSums, information
from vtbench_redundancy.estimators.image_groups import assign_groups
from vtbench_redundancy.estimators.jackknife_bias import CorrectionSubsets
from vtbench_redundancy.estimators.marginals import image_coordinates, token_coordinates
from vtbench_redundancy.estimators.permutation_null import noisy_pixels
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.estimates import FEW_TOKENS, ORDERS
from vtbench_redundancy.scores.sample_budget import images_needed

_ABSENT = 1e12
"""Variance of the noise on a token that is not in a choice."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Scores under a dose."""

    rs: float
    n_eff_16: float | None
    """None with fewer than 16 copies in all."""
    joint: float
    """I(all copies ; X̃) in nats."""


class Duplication:
    """Predicts scores of copies from tokens without copies or noise.

    Args:
        tokens: (n, S, r) coordinates of the tokens, as an `Encoder` makes them.
        pixels: (n, P, c) coordinates of the images.
        protocol: its settings; only such with the jackknife's correction, as `rs-v2`.
        clusters: n names; images of one cluster share a group. By default each image is its own.

    Raises:
        VtbenchError: there are too few images to measure all coordinates.
    """

    def __init__(
        self, tokens: np.ndarray, pixels: np.ndarray, protocol: Protocol, clusters: Sequence[str] | None = None
    ) -> None:
        needed = images_needed(tokens[0].size + pixels[0].size, protocol)
        if len(tokens) < needed:
            raise VtbenchError(f"a prediction from {len(tokens)} images needs {needed}: take more, or fewer tokens")
        self._protocol, self._shape = protocol, tokens.shape[1:]
        groups = assign_groups(len(tokens), clusters, protocol.groups, protocol.seed)
        x_nq = image_coordinates(torch.as_tensor(pixels[groups.order]).flatten(1), ranks=False)
        noisy = noisy_pixels(x_nq, groups.sizes, protocol.floor, protocol.permutations, protocol.seed, groups.clusters)
        self._sums = GroupSums.of(token_coordinates(torch.as_tensor(tokens[groups.order]), ranks=False), noisy)
        self._subsets = CorrectionSubsets.of(groups.sizes, float("inf"))

    def predict(self, copies: int, noise: float) -> Predicted:
        """Return the scores of `copies` of every token, each with noise of `noise` times the token's covariance."""
        # Coordinates are whitened with their noise, before the floor is added.
        of_copy = noise + self._protocol.token_floor * (1 + noise)
        places = self._shape[0]
        total = self._total(of_copy)
        joint = self._joint(torch.full((places,), of_copy / copies))
        n_eff_16 = None
        if copies * places >= FEW_TOKENS:
            few = []
            for order in self._orders(copies * places):
                count_S = torch.bincount(torch.as_tensor(order[:FEW_TOKENS] // copies), minlength=places)
                few.append(self._joint(torch.where(count_S > 0, of_copy / count_S.clamp_min(1), _ABSENT)))
            n_eff_16 = places * float(np.mean(few)) / total
        return Predicted(1 - joint / (copies * total), n_eff_16, joint)

    def _total(self, variance: float) -> float:
        found = information(self._sums, self._subsets.keep_TG, variance, [False] * len(self._subsets.keep_TG))
        return float(self._subsets.corrected(found.total)[0])

    def _joint(self, variance_S: Tensor) -> float:
        """Return I(Z ; X̃) in nats with noise of these variances on the tokens."""
        noise_p = variance_S.double().repeat_interleave(self._shape[1])
        found = information(self._sums, self._subsets.keep_TG, noise_p, [False] * len(self._subsets.keep_TG))
        return float(self._subsets.corrected(found.joint)[0])

    def _orders(self, m: int) -> list[np.ndarray]:
        """Return the orders of m tokens that the estimate of `n_eff_16` averages over; of 16, any."""
        generator = np.random.default_rng(self._protocol.seed)
        return [generator.permutation(m) for _ in range(ORDERS if m > FEW_TOKENS else 1)]


def accuracy_of_copies(accuracy: Sequence[float], copies: int, kept: int) -> float:
    """Return the accuracy with `kept` random ones of k copies of each of S tokens, by that with D different tokens.

    A copy says what another says, so only the number D of different tokens counts. Its distribution follows from the
    numbers of ways to choose: C(S, D) Σ_j (−1)^j C(D, j) C(k (D − j), kept) of C(k S, kept) choices have exactly D
    (inclusion and exclusion).

    Args:
        accuracy: (S + 1) with D = 0 ... S random tokens.
        copies: k.
        kept: of the k S copies.

    >>> accuracy_of_copies([0.0, 1.0, 2.0], copies=2, kept=2)  # of 6 pairs, 2 are of one token
    1.6666666666666667
    """
    places = len(accuracy) - 1
    ways = [
        comb(places, d) * sum((-1) ** j * comb(d, j) * comb(copies * (d - j), kept) for j in range(d + 1))
        for d in range(places + 1)
    ]
    return sum(w * a for w, a in zip(ways, accuracy, strict=True)) / comb(copies * places, kept)
