"""RS and informations over all images, and their replicates over the subsets of images that intervals come from.

`redundancy_score` makes scores of them; a comparison of runs on the same images takes differences of the replicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.convergence import below_noise
from vtbench_redundancy.estimators.gaussian import information
from vtbench_redundancy.estimators.image_groups import assign_groups, jackknife_subsets
from vtbench_redundancy.estimators.jackknife_bias import CorrectionSubsets
from vtbench_redundancy.estimators.normal_scores import ranked_scores
from vtbench_redundancy.estimators.permutation_null import noisy_pixels
from vtbench_redundancy.estimators.token_subsets import subset_information
from vtbench_redundancy.features.patch_layout import choose_layout
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.sample_budget import PARTS_ROOM, SampleBudget, images_needed

FEW_TOKENS = 16
"""Tokens of `n_eff_16`."""
CURVE = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Fractions of the m tokens between none and all at which the information curve is measured."""
LEAST_JITTER = 1e-6
"""Added to tokens' variances at the least, for numerical rank."""
RANK_NOISE = 1.75
"""Ranks add noise of a variance of about this over n to a coordinate; it counts as part of the token floor."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Means over the choices of tokens: from all images, the G jackknife replicates, and parts of the images."""

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
    part: float = 0.5
    """Size of the parts as a fraction of the images; 0 where there are none."""
    of_k: Mapping[int, Tensor] = field(default_factory=dict)
    """(1 + G,) I(k of the tokens ; X̃) in nats, by k: the information curve. Empty unless it was asked for."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One choice of tokens, bias corrected."""

    joint: Tensor
    total: Tensor
    null_spread: float
    part: float
    of_k: Mapping[int, Tensor]


class ReferenceImages:
    """The images that tokens are measured against: their coordinates X, their groups, and X̃.

    Args:
        pixels: (n, P, c) coordinates of the images.
        m: tokens of an image that are measured together.
        r: coordinates of a token.
        clusters: n names; images of one cluster share a scene and a group. By default each image is its own.
        protocol: its settings.
        device: where to compute.
        parts: also measure two parts of the images, where they are large enough.
        given: (n, k) what is known of the images: all informations are then conditional on it.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        m: int,
        r: int,
        clusters: Sequence[str] | None,
        protocol: Protocol,
        device: str | torch.device = "cpu",
        parts: bool = True,
        given: np.ndarray | None = None,
    ) -> None:
        n = len(pixels)
        self.protocol, self._parts, self._device = protocol, parts, device
        self.budget = SampleBudget.of(n, m, r, pixels.shape[1:], protocol)
        self.groups = assign_groups(n, clusters, protocol.groups, protocol.seed)
        self._x_nq, self._x_ranked = self._load(pixels.reshape(n, -1)[:, self.budget.coordinates])
        self._given = None
        if given is not None:
            known = self._load(given)[0]
            self._given = torch.cat([known, known.new_ones(n, 1)], dim=1)
            self._x_nq = self._rest(self._x_nq)
        self._noisy = noisy_pixels(
            self._x_nq, self.groups.sizes, protocol.floor, protocol.permutations, protocol.seed, self.groups.clusters
        )

    @cached_property
    def upper_bound(self) -> Estimates:
        """I(X ; X̃), with X as one token: the most that any tokens can carry about X̃."""
        return self._average([self._measure(self._x_nq[:, None, :], self._x_ranked[None], {}, parts=False)], 1)

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of every score."""
        return self.budget.flags + self.groups.flags

    def estimates(self, tokens: np.ndarray, constant: str, curve: bool = False, parts: bool = True) -> Estimates | str:
        """Measure tokens, (n, S, m, r) coordinates of the m in each of S choices.

        Args:
            tokens: the coordinates, the leading one of each token first.
            constant: the flag where no token varies.
            curve: also measure the information of fewer tokens.
            parts: also measure parts of the images, if the reference images allow.

        Returns:
            The estimates, or a flag that says why there are none: `few_images`, `constant_images`, or `constant`.
        """
        choices, m, _ = tokens.shape[1:]
        places = self.budget.token_choices(m)
        if not places:
            return "few_images"
        if not self._x_nq.any():
            return "constant_images"
        count = max(choices, len(places))
        coordinates = [tokens[:, s % choices, places[s % len(places)], : self.budget.r] for s in range(count)]
        found = []
        for s, of_choice in enumerate(coordinates):
            z, ranked = self._load(of_choice)
            if self._given is not None:
                z = _standard(self._rest(z.flatten(1))).reshape(z.shape)
            if z.any():
                found.append(self._measure(z, ranked, self._fewer(z.shape[1], count, s) if curve else {}, parts))
        return self._average(found, coordinates[0].shape[1]) if found else constant

    def _fewer(self, m: int, count: int, s: int) -> dict[int, Tensor]:
        """Return choices (C, k) of the tokens by k, for choice s of `count`: eight in all."""
        sizes = {round(part * m) for part in CURVE} | {FEW_TOKENS}
        draws = {k: choose_layout(m, None, k, self.protocol.subsets, self.protocol.seed).chosen_Sm
                 for k in sorted(sizes) if 1 <= k < m}  # fmt: skip
        return {k: torch.as_tensor(drawn[s % len(drawn) :: count]) for k, drawn in draws.items()}

    def _load(self, array: np.ndarray) -> tuple[Tensor, Tensor]:
        return ranked_scores(torch.as_tensor(array[self.groups.order], device=self._device))

    def _rest(self, values_np: Tensor) -> Tensor:
        """Return what a regression on what is given leaves."""
        assert self._given is not None
        square = self._given.T @ self._given
        square.diagonal().add_(LEAST_JITTER)  # a coordinate that never varies
        return values_np - self._given @ torch.linalg.solve(square, self._given.T @ values_np)

    def _measure(self, z_nmr: Tensor, ranked_mr: Tensor, fewer: Mapping[int, Tensor], parts: bool) -> _Measured:
        p, parts = self.protocol, parts and self._parts
        width = z_nmr[0].numel() + self.budget.q
        if p.correction != "jackknife":
            needed = images_needed(width, p, PARTS_ROOM) if parts else float("inf")
            keep = jackknife_subsets(self.groups.sizes, needed)
            # in-sample replicates cost less, and their spread is that of the average (measured in docs/redundancy.md)
            crossed = [p.correction == "crossed" and not 1 <= t <= p.groups for t in range(len(keep))]
            found = information(z_nmr, self._noisy, keep, p.token_floor, crossed)
            part = 0.5 if len(keep) > 1 + p.groups else 0.0
            replicated = keep[: p.groups + 1]
            of_k = subset_information(z_nmr, self._noisy, replicated, p.token_floor, fewer) if fewer else {}
            return _Measured(found.joint, found.total, found.null_spread, part, of_k)
        subsets = CorrectionSubsets.of(self.groups.sizes, PARTS_ROOM * width if parts else float("inf"))
        floor = torch.full(ranked_mr.shape, p.token_floor, dtype=z_nmr.dtype, device=z_nmr.device)
        floor = (floor - RANK_NOISE / len(z_nmr) * ranked_mr).clamp_min(LEAST_JITTER).flatten()
        keep = subsets.keep_TG
        found = information(z_nmr, self._noisy, keep, floor, [False] * len(keep))
        of_k = {}
        if fewer:
            whole = CorrectionSubsets(keep[: p.groups + 1], 0.0)
            raw = subset_information(z_nmr, self._noisy, whole.keep_TG, floor, fewer)
            of_k = {k: whole.corrected(values) for k, values in raw.items()}
        joint, total = subsets.corrected(found.joint), subsets.corrected(found.total)
        return _Measured(joint, total, found.null_spread, subsets.part, of_k)

    def _average(self, found: Sequence[_Measured], m: int) -> Estimates:
        def mean(values: Sequence[Tensor]) -> Tensor:
            return torch.stack(list(values)).mean(dim=0)

        total = mean([i.total for i in found])
        of_k = {k: mean([i.of_k[k] for i in found if k in i.of_k]) for k in found[0].of_k}
        return Estimates(
            mean([1 - i.joint / i.total for i in found]), mean([i.joint for i in found]), total, m, len(found),
            below_noise(total, self.protocol.groups, max(i.null_spread for i in found)), found[0].part, of_k,
        )  # fmt: skip


def _standard(values_np: Tensor) -> Tensor:
    return values_np / values_np.std(dim=0, keepdim=True).clamp_min(LEAST_JITTER)
