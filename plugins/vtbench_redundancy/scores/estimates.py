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
from vtbench_redundancy.estimators.gaussian import GroupSums, information
from vtbench_redundancy.estimators.image_groups import assign_groups, jackknife_subsets
from vtbench_redundancy.estimators.jackknife_bias import CorrectionSubsets
from vtbench_redundancy.estimators.marginals import image_coordinates, token_coordinates
from vtbench_redundancy.estimators.permutation_null import noisy_pixels
from vtbench_redundancy.estimators.token_subsets import information_of_first
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.sample_budget import PARTS_ROOM, SampleBudget, images_needed, varying_axes

FEW_TOKENS = 16
"""Tokens of `n_eff_16`."""
CURVE = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Fractions of the m tokens between none and all at which the information curve is measured."""
ORDERS = 8
"""Random orders of an image's tokens that the curve is averaged over."""
RIDGE = 1e-6
"""Relative to a variance: what is given may have a coordinate that never varies."""


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
    joint_spread: float = 0.0
    """Standard deviation of I(Z_1..Z_m ; X̃) under the null."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One choice of tokens, bias corrected."""

    joint: Tensor
    total: Tensor
    null_spread: float
    part: float
    of_k: Mapping[int, Tensor]
    joint_spread: float


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
        n, pixels = len(pixels), varying_axes(pixels, protocol)
        self.protocol, self._parts, self._device = protocol, parts, device
        self.budget = SampleBudget.fit(pixels, m, r, protocol)
        self.groups = assign_groups(n, clusters, protocol.groups, protocol.seed)
        self._x_nq, self._cells = self.budget.image(self._sorted(pixels)), pixels.shape[1]
        self._given = None
        if given is not None:
            known = image_coordinates(self._sorted(given), protocol.ranks)
            self._given = torch.cat([known, known.new_ones(n, 1)], dim=1)
            self._x_nq = self._rest(self._x_nq)
        self._noisy = noisy_pixels(
            self._x_nq, self.groups.sizes, protocol.floor, protocol.permutations, protocol.seed, self.groups.clusters
        )

    @cached_property
    def upper_bound(self) -> Estimates:
        """I(X ; X̃), the most that any tokens can carry about X̃: X is read as tokens are, one for each cell.

        In `rs-v1`, and where few images leave components of X, it is one token with the floor on its coordinates.
        """
        if self.protocol.ranks or self.budget.components:
            z = self._x_nq[:, None, :]
        else:
            z = token_coordinates(self._x_nq.reshape(len(self._x_nq), self._cells, -1), ranks=False)
        return self._average([self._measure(z, None, parts=False)], z.shape[1])

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
            z = token_coordinates(self._sorted(of_choice), self.protocol.ranks)
            if self._given is not None:
                z = token_coordinates(self._rest(z.flatten(1)).reshape(z.shape), ranks=False)
            if z.any():
                # what parts show is the bias, which all choices share
                of_parts = parts and (s == 0 or self.protocol.correction != "jackknife")
                found.append(self._measure(z, self._orders(z.shape[1], count, s) if curve else None, of_parts))
        return self._average(found, coordinates[0].shape[1]) if found else constant

    def _orders(self, m: int, count: int, s: int) -> Tensor:
        """Return random orders (C, m) of m tokens, for choice s of `count`: eight in all, at least one each."""
        generator = np.random.default_rng(self.protocol.seed)
        orders = np.stack([generator.permutation(m) for _ in range(max(ORDERS, count))])
        return torch.as_tensor(orders[s::count])

    def _sorted(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array[self.groups.order], device=self._device)

    def _rest(self, values_np: Tensor) -> Tensor:
        """Return what a regression on what is given leaves."""
        assert self._given is not None
        square = self._given.T @ self._given
        square.diagonal().add_(RIDGE * len(values_np))
        return values_np - self._given @ torch.linalg.solve(square, self._given.T @ values_np)

    def _measure(self, z_nmr: Tensor, orders_Cm: Tensor | None, parts: bool) -> _Measured:
        p, parts = self.protocol, parts and self._parts
        width = z_nmr[0].numel() + self.budget.q
        if p.correction != "jackknife":
            needed = images_needed(width, p, PARTS_ROOM) if parts else float("inf")
            keep = jackknife_subsets(self.groups.sizes, needed)
            # in-sample replicates cost less, and their spread is that of the average (measured in docs/redundancy.md)
            crossed = [p.correction == "crossed" and not 1 <= t <= p.groups for t in range(len(keep))]
            found = information(GroupSums.of(z_nmr, self._noisy), keep, p.token_floor, crossed)
            part = 0.5 if len(keep) > 1 + p.groups else 0.0
            return _Measured(found.joint, found.total, found.null_spread, part, {}, found.joint_spread)
        subsets = CorrectionSubsets.of(self.groups.sizes, PARTS_ROOM * width if parts else float("inf"))
        sums = GroupSums.of(z_nmr, self._noisy)
        found = information(sums, subsets.keep_TG, p.token_floor, [False] * len(subsets.keep_TG))
        of_k = {}
        if orders_Cm is not None:
            whole, m = CorrectionSubsets(subsets.keep_TG[: p.groups + 1], 0.0), z_nmr.shape[1]
            counts = sorted({k for part in CURVE if 1 <= (k := round(part * m)) < m} | {FEW_TOKENS} & set(range(m)))
            raw = information_of_first(sums, whole.keep_TG, p.token_floor, orders_Cm, counts) if counts else {}
            of_k = {k: whole.corrected(values) for k, values in raw.items()}
        joint, total = subsets.corrected(found.joint), subsets.corrected(found.total)
        return _Measured(joint, total, found.null_spread, subsets.part, of_k, found.joint_spread)

    def _average(self, found: Sequence[_Measured], m: int) -> Estimates:
        def mean(values: Sequence[Tensor]) -> Tensor:
            """Average; where the first has parts and the others have none, their difference from the whole is kept."""
            whole = torch.stack([i[: min(len(j) for j in values)] for i in values]).mean(dim=0)
            return torch.cat([whole, whole[0] + values[0][len(whole) :] - values[0][0]])

        total = mean([i.total for i in found])
        of_k = {k: mean([i.of_k[k] for i in found if k in i.of_k]) for k in found[0].of_k}
        return Estimates(
            mean([1 - i.joint / i.total for i in found]), mean([i.joint for i in found]), total, m, len(found),
            below_noise(total, self.protocol.groups, max(i.null_spread for i in found)), found[0].part, of_k,
            max(i.joint_spread for i in found),
        )  # fmt: skip
