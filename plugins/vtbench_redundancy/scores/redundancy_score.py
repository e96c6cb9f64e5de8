"""The Redundancy Score from coordinates: RS, R_pix, ΔRS, N_eff and the discarded share, with intervals and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vtbench.types import Score
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.estimates import Estimates, ReferenceImages
from vtbench_redundancy.scores.score_writer import ScoreWriter, flag_synergy


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The five scores of redundancy; each has its interval, its flags and how it was measured."""

    rs: Score
    """RS = 1 − I(Z_1..Z_m ; X̃) / Σ_i I(Z_i ; X̃)."""
    r_pix: Score
    """RS of the image's own patches."""
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


def missing_scores(flag: str, n: int, detail: Mapping[str, Any]) -> Redundancy:
    """Return five scores without a value; `flag` says why."""
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
    """Score tokens against pixels by the protocol, from coordinates that an `Encoder` made.

    The interval comes from a delete-a-group jackknife over images with Student's t, never a bootstrap, whose repeated
    images inflate mutual information. With few images, fewer tokens and fewer coordinates of the image are measured,
    flagged `reduced`.

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets; the score is the mean over subsets.
        patches: (n, m, r) coordinates of the image's patches, for R_pix; without them R_pix and ΔRS have no value,
            flagged `no_patches`.
        pixels: (n, P, c) coordinates of the image, X: c of each of P cells, the leading one first.
        protocol: its settings.
        clusters: images of one cluster share a scene and go into one jackknife group; by default each its own.
        detail: further facts to be printed with every score.
        device: where to compute.

    Returns:
        Scores without a value, flagged `few_images`, where there are too few images for the smallest covariance.
    """
    n, choices, m, r = tokens.shape
    widest = max(m, 0 if patches is None else patches.shape[1])
    reference = ReferenceImages(pixels, widest * r, clusters, protocol, device)
    facts: dict[str, Any] = dict(detail or {}) | {
        "protocol": protocol.name, "m": m, "n": n, "r": r, "r_x": reference.budget.q, "subsets": choices,
        "floor": protocol.floor, "permutations": protocol.permutations, "images_needed": reference.budget.images_needed,
    }  # fmt: skip
    of_tokens = reference.estimates(tokens, "constant_tokens")
    if isinstance(of_tokens, str):
        return missing_scores(of_tokens, n, facts)
    facts |= {"m": of_tokens.m, "subsets": of_tokens.choices}
    of_patches = "no_patches" if patches is None else reference.estimates(patches[:, None], "constant_images")
    return _write_scores(of_tokens, of_patches, reference.upper_bound, ScoreWriter(n, protocol, facts, reference.flags))


def _write_scores(tokens: Estimates, patches: Estimates | str, pixels: Estimates, write: ScoreWriter) -> Redundancy:
    shared = slice(0, 1 + write.protocol.groups)  # halves may be large enough for one of two estimates only
    nats = {"information_joint": float(tokens.joint[0]), "information_sum": float(tokens.total[0])}
    rs = flag_synergy(write(tokens.rs, tokens.low, checked=True, **nats))
    if isinstance(patches, str):
        r_pix = delta_rs = write.missing(patches)
    else:
        r_pix = write(patches.rs, patches.low, checked=True)
        delta_rs = write(tokens.rs[shared] - patches.rs[shared], tokens.low or patches.low)
    n_eff = replace(write(tokens.m * (1 - tokens.rs), tokens.low), flags=rs.flags)
    discarded = write(1 - tokens.joint[shared] / pixels.joint[shared], pixels.low)
    return Redundancy(rs, r_pix, delta_rs, n_eff, discarded)
