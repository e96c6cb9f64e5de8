"""What tokens say about the cues of scenes: I(Z;Ỹ) in nats, and how much of it fewer tokens keep.

Y are the columns of `features.scene_cues`, each of unit variance, and Ỹ = Y + ε with the noise that X̃ has; the
estimator is that of the Redundancy Score, with Y in place of X.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Score
from vtbench_redundancy.convergence import below_noise
from vtbench_redundancy.features.scene_cues import varying
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.scores.estimates import Estimates, ReferenceImages
from vtbench_redundancy.scores.redundancy_score import curve_axes, information_curve
from vtbench_redundancy.scores.score_writer import ScoreWriter


def cue_information(
    tokens: np.ndarray,
    cues: np.ndarray,
    protocol: Protocol = Protocol(),  # noqa: B008
    clusters: Sequence[str] | None = None,
    detail: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    cells: np.ndarray | None = None,
    pixels: np.ndarray | None = None,
    properties: Mapping[str, Sequence[int]] | None = None,
) -> Score:
    """Estimate I(Z;Ỹ) in nats, of all tokens Z of an image about the columns Y of its scene.

    The details have `curve`, the cue curve: a row for each number k of tokens with I(k of them ; Ỹ) / I(all m ; Ỹ);
    `available`: the information as a share of I(Y;Ỹ), all that could be known about Ỹ, with its interval; `columns`,
    how many columns vary; `of_pixels`, the information that the image's own cell colours have about Ỹ, read the same
    way, and the `ratio` of the tokens' to it, with its interval; `explained`, by property of the objects, the share of
    its columns' variance that a linear reader of the tokens explains (`explained_share`), with its interval. Where the
    information is under three standard errors, by the jackknife or the null, the score is flagged `low_information`
    and has no curve and no share.

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets.
        cues: (n, c) columns of the scenes; those that never vary are left out, as are images whose columns are NaN.
        protocol: its settings.
        clusters: n names; images of one cluster share a scene.
        detail: further facts; `N` is the number of an image's tokens.
        device: where to compute.
        cells: (n, m, r) coordinates of the averages by cell, of images with more than m tokens. Without them the score
            is of m of the tokens, flagged `subset`.
        pixels: (n, P, c) coordinates of the image's cells, for `of_pixels`.
        properties: columns of each property, for `explained`.
    """
    known = np.isfinite(cues).all(axis=1)
    tokens, cues = tokens[known], cues[known]
    columns = varying(cues) if known.any() else cues[:, :0]
    names = None if clusters is None else [clusters[i] for i in np.flatnonzero(known).tolist()]
    n, choices, m, r = tokens.shape
    facts = dict(detail or {}) | {"protocol": protocol.name, "m": m, "n": n, "columns": columns.shape[1]}
    if n < MIN_IMAGES or not columns.size:
        flag = "few_images" if n < MIN_IMAGES else "constant_cues"
        return Score(None, n=n, flags=(flag,), detail=facts | {"images_needed": MIN_IMAGES}, percent=False)
    reference = ReferenceImages(columns[:, :, None], m, r, names, protocol, device)
    facts |= {"r": reference.budget.r, "subsets": choices, "seed": protocol.seed}
    flags = reference.flags
    found = reference.estimates(tokens, "constant_tokens", curve=True)
    if isinstance(found, str):
        return ScoreWriter(n, protocol, facts, flags).missing(found)
    facts |= {"m": found.m, "subsets": found.choices}
    every, of_all = found, tokens
    if found.m < m or facts.get("N", m) > m:
        of_cells = reference.estimates(cells[known][:, None], "subset") if cells is not None and found.m == m else ""
        if isinstance(of_cells, str):
            flags += ("subset",)
        else:
            assert cells is not None
            every, of_all = of_cells, cells[known][:, None]
    if below_noise(every.joint, protocol.groups, every.joint_spread):
        flags += ("low_information",)
    write, more = ScoreWriter(n, protocol, facts, flags), dict[str, Any]()
    of_pixels = None if pixels is None else reference.estimates(pixels[known][:, None], "constant_images", parts=False)
    if isinstance(of_pixels, Estimates):
        more["of_pixels"] = _beside(every, of_pixels, write)
    more["explained"] = {}
    for name, of_property in (properties or {}).items():
        part = varying(cues[:, of_property])
        if part.size:
            about = ReferenceImages(part[:, :, None], m, r, names, protocol, device)
            read = about.estimates(of_all, "constant_tokens", parts=False)
            if isinstance(read, Estimates):
                more["explained"][name] = _explained(read, part.shape[1], write)
    if "low_information" in flags:
        return write(every.joint, **more)
    share = _beside(every, reference.upper_bound, write)
    more["available"] = {"share": share["ratio"], "interval": share["interval"], "of": share["nats"]}
    return write(
        every.joint, part=every.part, scale=float(every.joint[0]), **more,
        curve=information_curve(found, write), curve_axes=curve_axes("the cues"),
    )  # fmt: skip


def explained_share(nats: Tensor, q: int) -> Tensor:
    """Return the share of the variance of q columns that information about them explains, 1 − exp(−2 I / q).

    It is the geometric mean over directions, 1 − Λ^(1/q) of Wilks' Λ ("Certain generalizations in the analysis of
    variance", Biometrika 24, 1932); of one column the squared correlation.

    >>> round(float(explained_share(-torch.log(torch.tensor(1 - 0.6**2)) / 2, 1)), 6)  # of a correlation of 0.6
    0.36
    """
    return -torch.expm1(-2 * nats.double() / q)


def _explained(read: Estimates, q: int, write: ScoreWriter) -> dict[str, Any]:
    found = write(explained_share(read.joint, q))
    return {"share": found.value, "interval": found.interval, "nats": float(read.joint[0]), "columns": q}


def _beside(every: Estimates, other: Estimates, write: ScoreWriter) -> dict[str, Any]:
    """Return another information in nats, and the tokens' as a ratio to it."""
    shared = slice(0, 1 + write.protocol.groups)
    ratio = write(every.joint[shared] / other.joint[shared])
    return {"nats": float(other.joint[0]), "ratio": ratio.value, "interval": ratio.interval}
