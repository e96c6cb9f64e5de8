"""The Redundancy Score from coordinates, and what goes with it, with intervals and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Score
from vtbench_redundancy.features.patch_layout import ACROSS_CELLS
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.estimates import FEW_TOKENS, Estimates, ReferenceImages
from vtbench_redundancy.scores.score_writer import ScoreWriter, flag_synergy
from vtbench_redundancy.scores.stored_scores import DETAILED


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The scores of redundancy; each has its interval, its flags and how it was measured."""

    rs: Score
    """RS = 1 − I(Z_1..Z_m ; X̃) / Σ_i I(Z_i ; X̃). The details have the information curve."""
    n_eff_16: Score
    """I(16 of the tokens ; X̃) / mean_i I(Z_i ; X̃): how many tokens' worth 16 tokens carry. None in `rs-v1`."""
    discarded: Score
    """1 − I(Z;X̃) / I(X;X̃)."""
    r_pix: Score
    """RS of the image's own patches."""
    delta_rs: Score
    """RS − R_pix."""
    n_eff: Score
    """m (1 − RS): tokens' worth of distinct information."""
    rs_given_colour: Score
    """RS of what the tokens say beyond the image's mean colour."""
    protocol: Protocol

    def scores(self) -> dict[str, Score]:
        """The headline scores by name; the others stand in the details of `rs`, but for `rs-v1`, which lists them."""
        if self.protocol.correction != "jackknife":
            names = ("rs", "r_pix", "delta_rs", "n_eff", "discarded")
            return {name: getattr(self, name) for name in names}
        detailed = DETAILED if self.protocol.target == "pixels" else ("n_eff",)  # the others are about pixels
        more = {name: _brief(getattr(self, name)) for name in detailed}
        rs = replace(self.rs, detail={**self.rs.detail, **more})
        return {"rs": rs, "n_eff_16": self.n_eff_16, "discarded": self.discarded}


def missing_scores(flag: str, n: int, detail: Mapping[str, Any], protocol: Protocol = Protocol()) -> Redundancy:  # noqa: B008
    """Return scores without a value; `flag` says why."""
    none = Score(None, n=n, flags=(flag,), detail=dict(detail), percent=False)
    return Redundancy(none, none, none, none, none, none, none, protocol)


def score_coordinates(
    tokens: np.ndarray,
    patches: np.ndarray | None,
    pixels: np.ndarray,
    protocol: Protocol = Protocol(),  # noqa: B008
    clusters: Sequence[str] | None = None,
    detail: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    cells: np.ndarray | None = None,
) -> Redundancy:
    """Score tokens against pixels by the protocol, from coordinates that an `Encoder` made.

    The interval comes from a delete-a-group jackknife over images with Student's t, never a bootstrap, whose repeated
    images inflate mutual information. With few images, fewer coordinates and fewer tokens are measured, flagged
    `reduced` (`SampleBudget`).

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets; the score is the mean over subsets.
        patches: (n, m, r) coordinates of the image's patches, for R_pix; without them R_pix and ΔRS have no value,
            flagged `no_patches`.
        pixels: (n, P, c) coordinates of the image, X: c of each of P cells, the leading one first.
        protocol: its settings.
        clusters: images of one cluster share a scene and go into one jackknife group; by default each its own.
        detail: further facts to be printed with every score; `N` is the number of an image's tokens.
        device: where to compute.
        cells: (n, m, r) coordinates of the tokens averaged over the cells that they lie in, for `discarded` of an image
            with more than m tokens; without them it is that of m tokens, or None in `rs-v2`, flagged `subset`.

    Returns:
        Scores without a value, flagged `few_images`, where there are too few images for the smallest covariance.
    """
    n, choices, m, r = tokens.shape
    widest = max(m, 0 if patches is None else patches.shape[1])
    reference = ReferenceImages(pixels, widest, r, clusters, protocol, device)
    budget = reference.budget
    facts: dict[str, Any] = dict(detail or {}) | {
        "protocol": protocol.name, "m": m, "n": n, "r": budget.r, "r_x": budget.q, "subsets": choices,
        "floor": protocol.floor, "permutations": protocol.permutations, "seed": protocol.seed,
        "images_needed": budget.images_needed,
    }  # fmt: skip
    v2 = protocol.correction == "jackknife"
    of_tokens = reference.estimates(tokens, "constant_tokens", curve=v2)
    if isinstance(of_tokens, str):
        return missing_scores(of_tokens, n, facts, protocol)
    facts |= {"m": of_tokens.m, "subsets": of_tokens.choices}
    write = ScoreWriter(n, protocol, facts, reference.flags)
    of_patches = (
        "no_patches" if patches is None else reference.estimates(patches[:, None], "constant_images", parts=not v2)
    )
    of_all: Estimates | str = of_tokens
    if v2 and (of_tokens.m < m or facts.get("N", m) > m):
        of_all = (
            "subset" if cells is None or of_tokens.m < m else reference.estimates(cells[:, None], "subset", parts=False)
        )
    given: Estimates | str = "no_conditioning"
    if v2 and protocol.target == "pixels":
        known = ReferenceImages(pixels, widest, r, clusters, protocol, device, parts=False, given=pixels.mean(axis=1))
        given = known.estimates(tokens[:, :1], "constant_tokens")
    return _write_scores(of_tokens, of_patches, of_all, given, reference.upper_bound, write)


def _write_scores(
    tokens: Estimates, patches: Estimates | str, of_all: Estimates | str, given: Estimates | str, pixels: Estimates,
    write: ScoreWriter,
) -> Redundancy:  # fmt: skip
    groups = write.protocol.groups
    shared = slice(0, 1 + groups)  # parts may be large enough for one of two estimates only
    nats: dict[str, Any] = {"information_joint": float(tokens.joint[0]), "information_sum": float(tokens.total[0])}
    about = "pixels" if write.protocol.target == "pixels" else "the target"
    nats |= {"curve": information_curve(tokens, write), "curve_axes": curve_axes(about)} if tokens.of_k else {}
    rs = flag_synergy(write(tokens.rs, tokens.low, tokens.part, **nats))
    if isinstance(patches, str):
        r_pix = delta_rs = write.missing(patches)
    else:
        r_pix = write(patches.rs, patches.low, patches.part if write.protocol.correction != "jackknife" else None)
        delta_rs = write(tokens.rs[shared] - patches.rs[shared], tokens.low or patches.low)
    n_eff = replace(write(tokens.m * (1 - tokens.rs), tokens.low), flags=rs.flags)
    few = of_few_tokens(tokens)
    n_eff_16 = write.missing("few_tokens") if few is None else write(few, tokens.low)
    if isinstance(of_all, str):
        discarded = write.missing(of_all)
    else:
        discarded = write(1 - of_all.joint[shared] / pixels.joint[shared], pixels.low)
        if write.facts.get(ACROSS_CELLS) and of_all is not tokens:
            discarded = replace(discarded, flags=(*discarded.flags, ACROSS_CELLS))
    colour = write.missing(given) if isinstance(given, str) else flag_synergy(write(given.rs, given.low))
    return Redundancy(rs, n_eff_16, discarded, r_pix, delta_rs, n_eff, colour, write.protocol)


def information_curve(tokens: Estimates, write: ScoreWriter) -> list[dict[str, Any]]:
    """Return a row for each number k of tokens: I(k of them ; X̃) / I(all m ; X̃), with its 95 % interval."""
    rows = []
    for k, of_k in sorted(tokens.of_k.items()):
        score = write(of_k / tokens.joint[: len(of_k)], tokens.low)
        low, high = score.interval or (None, None)
        rows.append({"tokens": k, "value": score.value, "low": low, "high": high})
    return [*rows, {"tokens": tokens.m, "value": 1.0, "low": 1.0, "high": 1.0}]


def curve_axes(about: str) -> dict[str, Any]:
    """Return how the report draws an information curve: those about pixels and about cues are lines of one chart."""
    return {
        "title": "Information that fewer tokens keep", "x": "tokens kept, drawn at random",
        "y": "share of the information in all tokens", "line": f"about {about}", "percent": True,
    }  # fmt: skip


def of_few_tokens(tokens: Estimates) -> Tensor | None:
    """I(16 of the tokens ; X̃) over a token's mean information, (1 + G,); None where there are fewer tokens."""
    if tokens.m == FEW_TOKENS:
        return tokens.m * (1 - tokens.rs)
    if FEW_TOKENS not in tokens.of_k:
        return None
    of_16 = tokens.of_k[FEW_TOKENS]
    return tokens.m * of_16 / tokens.total[: len(of_16)]


def _brief(score: Score) -> dict[str, Any]:
    """Return a score as a detail of another."""
    facts = {"value": score.value, "stderr": score.stderr, "interval": score.interval, "n": score.n}
    return facts | {"chance": None, "flags": list(score.flags)}
