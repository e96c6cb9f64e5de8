"""The Redundancy Score from coordinates: RS, R_pix, ΔRS, N_eff, what was discarded, with intervals and flags.

In: principal components of tokens, patches and pictures, one row an image. Out: `Redundancy`, five `Score`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from vtbench.types import Score
from vtbench_redundancy.gaussian import Information, information, noisy_pixels, normal_scores
from vtbench_redundancy.protocol import FEW_IMAGES, MIN_IMAGES, ROOM, Protocol


@dataclass(frozen=True, slots=True)
class Redundancy:
    """What `redundancy_score` says. Every `Score` carries its interval, its flags and how it was measured."""

    rs: Score
    """RS = 1 − I(Z_1..Z_m ; X̃) / Σ_i I(Z_i ; X̃)."""
    r_pix: Score
    """The same of the picture's own patches."""
    delta_rs: Score
    """RS − R_pix."""
    n_eff: Score
    """m (1 − RS): tokens' worth of distinct information."""
    discarded: Score
    """1 − I(Z;X̃) / I(X;X̃)."""

    def scores(self) -> dict[str, Score]:
        """The five scores by name."""
        names = ("rs", "r_pix", "delta_rs", "n_eff", "discarded")
        return {name: getattr(self, name) for name in names}


def unknown(flag: str, n: int, detail: Mapping[str, Any]) -> Redundancy:
    """Five scores without a value, for the reason that `flag` names."""
    none = Score(None, n=n, flags=(flag,), detail=dict(detail), percent=False)
    return Redundancy(none, none, none, none, none)


def score_coordinates(
    tokens: np.ndarray,
    patches: np.ndarray,
    pixels: np.ndarray,
    protocol: Protocol = Protocol(),  # noqa: B008
    clusters: Sequence[str] | None = None,
    detail: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
) -> Redundancy:
    """Score tokens against pixels by the protocol, from coordinates that a `Basis` made.

    The interval comes from a delete-a-group jackknife over images with Student's t (Kott 2001, J. Official Statistics
    17:521), never a bootstrap, whose repeated images inflate mutual information.

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets; the score is the mean over subsets.
        patches: (n, m, r) coordinates of the picture's patches, for R_pix.
        pixels: (n, q) coordinates of the picture, X.
        protocol: its settings.
        clusters: images of one cluster share a scene and go into one jackknife group; by default each its own.
        detail: further facts to be printed with every score.
        device: where to compute.

    Returns:
        Scores without a value, flagged `few_images`, where there are under 50 images or too few for the covariance.
    """
    n, subsets, m, r = tokens.shape
    q = pixels.shape[1]
    facts: dict[str, Any] = dict(detail or {}) | {
        "protocol": protocol.name, "m": m, "n": n, "r": r, "r_x": q, "subsets": subsets, "floor": protocol.floor,
        "permutations": protocol.permutations, "images_needed": _images_needed(m * r + q, protocol),
    }  # fmt: skip
    if n < facts["images_needed"]:
        return unknown("few_images", n, facts)
    groups = _groups(n, clusters, protocol)

    def load(array: np.ndarray) -> Tensor:
        return normal_scores(torch.as_tensor(array[groups.order], device=device))

    x_nq, scores = load(pixels), [load(tokens[:, s]) for s in range(subsets)]
    if not x_nq.any():
        return unknown("constant_images", n, facts)
    if not any(z.any() for z in scores):
        return unknown("constant_tokens", n, facts)
    noisy = noisy_pixels(x_nq, tuple(groups.sizes.tolist()), protocol.floor, protocol.permutations, protocol.seed)

    def measure(z_nmr: Tensor) -> Information | None:
        width = z_nmr[0].numel() + q
        if n < _images_needed(width, protocol):
            return None
        return information(z_nmr, noisy, _subsets(groups.sizes, ROOM * width).to(device), protocol.jitter)

    of_tokens = [i for i in map(measure, scores) if i is not None]
    of_patches, of_pixels = measure(load(patches)), measure(x_nq[:, None, :])

    rs_T = torch.stack([1 - i.joint / i.total for i in of_tokens]).mean(dim=0)
    total_T = torch.stack([i.total for i in of_tokens]).mean(dim=0)
    joint_T = torch.stack([i.joint for i in of_tokens]).mean(dim=0)
    low = _low(total_T, max(i.null_spread for i in of_tokens), protocol.groups)
    write = _Writer(n, protocol, facts, ("few_images",) * (n < FEW_IMAGES) + groups.flags)
    rs = write(rs_T, low, checked=True, information_joint=float(joint_T[0]), information_sum=float(total_T[0]))
    if rs.interval and rs.interval[1] < 0:
        rs = replace(rs, flags=(*rs.flags, "synergy"))
    n_eff = replace(write(m * (1 - rs_T), low), flags=rs.flags)
    r_pix = delta_rs = discarded = write.unknown("few_images")
    if of_patches is not None:
        pix_T, low_pix = (
            1 - of_patches.joint / of_patches.total,
            _low(of_patches.total, of_patches.null_spread, protocol.groups),
        )
        r_pix = write(pix_T, low_pix, checked=True)
        shared = min(len(rs_T), len(pix_T))
        delta_rs = write(rs_T[:shared] - pix_T[:shared], low or low_pix)
    if of_pixels is not None:
        shared = min(len(joint_T), len(of_pixels.joint))
        discarded = write(
            1 - joint_T[:shared] / of_pixels.joint[:shared],
            _low(of_pixels.total, of_pixels.null_spread, protocol.groups),
        )
    return Redundancy(rs, r_pix, delta_rs, n_eff, discarded)


def _images_needed(width: int, protocol: Protocol) -> int:
    """Images that a regular covariance of `width` coordinates takes, one group left out."""
    g = protocol.groups
    return max(MIN_IMAGES, 2 * g, int(np.ceil(ROOM * width * g / (g - 1))) + 1)


@dataclass(frozen=True, slots=True)
class _Groups:
    order: np.ndarray  # images sorted by group
    sizes: np.ndarray
    flags: tuple[str, ...]


def _groups(n: int, clusters: Sequence[str] | None, protocol: Protocol) -> _Groups:
    """Deal the images, shuffled by cluster, into groups of nearly equal size; no cluster is in two groups."""
    g = protocol.groups
    names = np.arange(n) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    place = np.random.default_rng(protocol.seed).permutation(names.max() + 1)[names]
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], place[order])  # where an image's cluster begins
    sizes = np.bincount(first * g // n, minlength=g)
    if clusters is not None and (sizes.min() < 2 or sizes.max() > 2 * n / g):
        return replace(_groups(n, None, protocol), flags=("few_clusters",))
    return _Groups(order, sizes, ())


def _subsets(sizes: np.ndarray, needed: float) -> Tensor:
    """Which groups each estimate uses: all; all but one, for each; and two halves where they are large enough."""
    groups = len(sizes)
    rows = [torch.ones(1, groups), 1 - torch.eye(groups)]
    first = (torch.arange(groups) < groups // 2).float()
    if min(sizes[: groups // 2].sum(), sizes[groups // 2 :].sum()) >= needed:
        rows.append(torch.stack([first, 1 - first]))
    return torch.cat(rows).double()


def _jackknife(values_T: Tensor, groups: int) -> float:
    """Standard error from the delete-a-group replicates, rows 1..g."""
    replicates = values_T[1 : groups + 1]
    return float(((groups - 1) / groups * (replicates - replicates.mean()).square().sum()).sqrt())


def _low(total_T: Tensor, null_spread: float, groups: int) -> bool:
    """Is Σ_i I(Z_i ; X̃) under 3 standard errors: those over images or those of the null, whichever are larger?"""
    return float(total_T[0]) < 3 * max(_jackknife(total_T, groups), null_spread)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes a `Score` from an estimate over all images, its jackknife replicates and its halves."""

    n: int
    protocol: Protocol
    facts: Mapping[str, Any]
    flags: tuple[str, ...]

    def __call__(self, values_T: Tensor, low: bool, checked: bool = False, **more: Any) -> Score:
        if low:
            return self.unknown("low_information", **more)
        groups, facts, flags = self.protocol.groups, {**self.facts, **more}, self.flags
        value, stderr = float(values_T[0]), self.protocol.widen * _jackknife(values_T, groups)
        reach = float(stats.t.ppf(0.975, groups - 1)) * stderr
        if checked:
            # the mean of two halves moves with the bias of small samples, hardly with their noise
            half = float(values_T[groups + 1 :].mean()) if len(values_T) > groups + 1 else None
            facts["half"] = half
            if half is None or abs(half - value) > 2 * stderr:
                flags = (*flags, "unconverged")
        return Score(value, stderr, (value - reach, value + reach), self.n, flags=flags, detail=facts, percent=False)

    def unknown(self, flag: str, **more: Any) -> Score:
        flags = tuple(dict.fromkeys((*self.flags, flag)))
        return Score(None, n=self.n, flags=flags, detail={**self.facts, **more}, percent=False)
