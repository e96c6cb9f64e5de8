"""RS and informations over all images, and their replicates over the subsets of images that intervals come from.

`redundancy_score` makes scores of them; a comparison of runs on the same images takes differences of the replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.convergence import below_noise
from vtbench_redundancy.estimators.gaussian import Information, information
from vtbench_redundancy.estimators.image_groups import assign_groups, jackknife_subsets
from vtbench_redundancy.estimators.normal_scores import normal_scores
from vtbench_redundancy.estimators.permutation_null import noisy_pixels
from vtbench_redundancy.protocol import HALVES_IMAGES_PER_DIMENSION, Protocol
from vtbench_redundancy.scores.sample_budget import SampleBudget, images_needed


@dataclass(frozen=True, slots=True)
class Estimates:
    """Means over the choices of tokens, for the T subsets of the images of `image_groups.jackknife_subsets`."""

    rs: Tensor
    """(T,) 1 − I(Z_1..Z_m ; X̃) / Σ_i I(Z_i ; X̃)."""
    joint: Tensor
    """(T,) I(Z_1..Z_m ; X̃) in nats."""
    total: Tensor
    """(T,) Σ_i I(Z_i ; X̃) in nats."""
    m: int
    """Tokens measured together."""
    choices: int
    """Choices of tokens that were averaged."""
    low: bool
    """Whether Σ_i I(Z_i ; X̃) is too small for a score (`convergence.below_noise`)."""

    @classmethod
    def of(cls, found: Sequence[Information], groups: int) -> Estimates:
        """Average over the choices of tokens."""

        def mean(values: Sequence[Tensor]) -> Tensor:
            return torch.stack(list(values)).mean(dim=0)

        total = mean([i.total for i in found])
        return cls(
            mean([1 - i.joint / i.total for i in found]), mean([i.joint for i in found]), total,
            found[0].each.shape[1], len(found), below_noise(total, groups, max(i.null_spread for i in found)),
        )  # fmt: skip


class ReferenceImages:
    """The images that tokens are measured against: their coordinates X, their groups, and X̃.

    Args:
        pixels: (n, P, c) coordinates of the images.
        width: coordinates of all tokens of an image that are measured together.
        clusters: n names; images of one cluster share a scene and a group. By default each image is its own.
        protocol: its settings.
        device: where to compute.
        halves: also measure the two halves of the images, where they are large enough.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        width: int,
        clusters: Sequence[str] | None,
        protocol: Protocol,
        device: str | torch.device = "cpu",
        halves: bool = True,
    ) -> None:
        n = len(pixels)
        self.protocol, self._halves = protocol, halves
        self.budget = SampleBudget.of(n, width, pixels.shape[1:], protocol)
        self.groups = assign_groups(n, clusters, protocol.groups, protocol.seed)
        self._x_nq = self._load(pixels.reshape(n, -1)[:, self.budget.coordinates], device)
        self._noisy = noisy_pixels(
            self._x_nq, self.groups.sizes, protocol.floor, protocol.permutations, protocol.seed, self.groups.clusters
        )

    @cached_property
    def upper_bound(self) -> Estimates:
        """I(X ; X̃), with X as one token: the most that any tokens can carry about X̃."""
        return Estimates.of([self._measure(self._x_nq[:, None, :])], self.protocol.groups)

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of every score."""
        return self.budget.flags + self.groups.flags

    def estimates(self, tokens: np.ndarray, constant: str) -> Estimates | str:
        """Measure tokens, (n, S, m, r) coordinates of the m in each of S choices.

        Returns:
            The estimates, or a flag that says why there are none: `few_images`, `constant_images`, or the argument
            `constant` where no token varies.
        """
        choices, m, r = tokens.shape[1:]
        places = self.budget.token_choices(m, r)
        if not places:
            return "few_images"
        if not self._x_nq.any():
            return "constant_images"
        parts = [tokens[:, s % choices, places[s % len(places)]] for s in range(max(choices, len(places)))]
        scores = [self._load(part, self._x_nq.device) for part in parts]
        if not any(z.any() for z in scores):
            return constant
        return Estimates.of([self._measure(z) for z in scores], self.protocol.groups)

    def _load(self, array: np.ndarray, device: str | torch.device) -> Tensor:
        return normal_scores(torch.as_tensor(array[self.groups.order], device=device))

    def _measure(self, z_nmr: Tensor) -> Information:
        width = z_nmr[0].numel() + self.budget.q
        needed = images_needed(width, self.protocol, HALVES_IMAGES_PER_DIMENSION) if self._halves else float("inf")
        keep = jackknife_subsets(self.groups.sizes, needed).to(z_nmr.device)
        # in-sample replicates cost less, and their spread is that of the average (measured in docs/redundancy.md)
        crossed = [self.protocol.crossed and not 1 <= t <= self.protocol.groups for t in range(len(keep))]
        return information(z_nmr, self._noisy, keep, self.protocol.jitter, crossed)
