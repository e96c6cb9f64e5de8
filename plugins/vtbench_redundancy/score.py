"""The Redundancy Score from coordinates: RS, R_pix, ΔRS, N_eff, what was discarded, with intervals and flags.

In: principal components of tokens, patches and pictures, one row an image. Out: `Redundancy`, five `Score`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Score
from vtbench_redundancy.copula import normal_scores
from vtbench_redundancy.gaussian import Information, information
from vtbench_redundancy.groups import deal, jackknife, subsets
from vtbench_redundancy.null import noisy_pixels
from vtbench_redundancy.protocol import TIGHT_ROOM, Protocol
from vtbench_redundancy.room import Room, images_needed
from vtbench_redundancy.writing import Writer


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
    patches: np.ndarray | None,
    pixels: np.ndarray,
    protocol: Protocol = Protocol(),  # noqa: B008
    clusters: Sequence[str] | None = None,
    detail: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
) -> Redundancy:
    """Score tokens against pixels by the protocol, from coordinates that a `Basis` made.

    The interval comes from a delete-a-group jackknife over images with Student's t, never a bootstrap, whose repeated
    images inflate mutual information. Few images measure fewer tokens, and fewer coordinates of the picture, flagged
    `reduced`.

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets; the score is the mean over subsets.
        patches: (n, m, r) coordinates of the picture's patches, for R_pix; without them R_pix and ΔRS have no value,
            flagged `no_patches`.
        pixels: (n, P, c) coordinates of the picture, X: c of each of P cells, the leading one first.
        protocol: its settings.
        clusters: images of one cluster share a scene and go into one jackknife group; by default each its own.
        detail: further facts to be printed with every score.
        device: where to compute.

    Returns:
        Scores without a value, flagged `few_images`, where there are too few images for the smallest covariance.
    """
    n, choices, m, r = tokens.shape
    widest = max(m, 0 if patches is None else patches.shape[1])
    room = Room.of(n, widest * r, pixels.shape[1:], protocol)
    places = room.places(m, r)
    facts: dict[str, Any] = dict(detail or {}) | {
        "protocol": protocol.name, "m": len(places[0]) if places else m, "n": n, "r": r, "r_x": room.q,
        "subsets": max(choices, len(places)), "floor": protocol.floor, "permutations": protocol.permutations,
        "images_needed": room.images_needed,
    }  # fmt: skip
    if not places:
        return unknown("few_images", n, facts)
    groups = deal(n, clusters, protocol.groups, protocol.seed)

    def load(array: np.ndarray) -> Tensor:
        return normal_scores(torch.as_tensor(array[groups.order], device=device))

    x_nq = load(pixels.reshape(n, -1)[:, room.coordinates])
    scores = [load(tokens[:, s % choices, places[s % len(places)]]) for s in range(facts["subsets"])]
    if not x_nq.any():
        return unknown("constant_images", n, facts)
    if not any(z.any() for z in scores):
        return unknown("constant_tokens", n, facts)
    noisy = noisy_pixels(x_nq, groups.sizes, protocol.floor, protocol.permutations, protocol.seed, groups.clusters)

    def measure(z_nmr: Tensor) -> Information:
        keep = subsets(groups.sizes, images_needed(z_nmr[0].numel() + room.q, protocol, TIGHT_ROOM)).to(device)
        # the replicates' spread is that of the average, without its cost: it is measured in docs/redundancy.md
        crossed = [protocol.crossed and not 1 <= t <= protocol.groups for t in range(len(keep))]
        return information(z_nmr, noisy, keep, protocol.jitter, crossed)

    of_tokens, of_pixels = _Average([measure(z) for z in scores]), _Average([measure(x_nq[:, None, :])])
    of_patches = None
    if patches is not None:
        of_patches = _Average([measure(load(patches[:, some])) for some in room.places(*patches.shape[1:])])
    return _written(of_tokens, of_patches, of_pixels, Writer(n, protocol, facts, room.flags + groups.flags))


def _written(tokens: _Average, patches: _Average | None, pixels: _Average, write: Writer) -> Redundancy:
    groups = write.protocol.groups
    shared = slice(0, 1 + groups)  # halves may be large enough for one of two averages only
    low = tokens.low(groups)
    nats = {"information_joint": float(tokens.joint[0]), "information_sum": float(tokens.total[0])}
    rs = write(tokens.rs, low, checked=True, **nats)
    if rs.interval and rs.interval[1] < 0:
        rs = replace(rs, flags=(*rs.flags, "synergy"))
    r_pix = delta_rs = write.unknown("no_patches")
    if patches is not None:
        r_pix = write(patches.rs, patches.low(groups), checked=True)
        delta_rs = write(tokens.rs[shared] - patches.rs[shared], low or patches.low(groups))
    n_eff = replace(write(write.facts["m"] * (1 - tokens.rs), low), flags=rs.flags)
    discarded = write(1 - tokens.joint[shared] / pixels.joint[shared], pixels.low(groups))
    return Redundancy(rs, r_pix, delta_rs, n_eff, discarded)


class _Average:
    """The mean of several estimates, for T subsets of the images."""

    def __init__(self, found: Sequence[Information]) -> None:
        self.rs = torch.stack([1 - i.joint / i.total for i in found]).mean(dim=0)
        self.joint = torch.stack([i.joint for i in found]).mean(dim=0)
        self.total = torch.stack([i.total for i in found]).mean(dim=0)
        self._null_spread = max(i.null_spread for i in found)

    def low(self, groups: int) -> bool:
        """Is Σ_i I(Z_i ; X̃) under 3 standard errors: those over images or those of the null, whichever are larger?"""
        return float(self.total[0]) < 3 * max(float(jackknife(self.total, groups)), self._null_spread)
