"""The row of `cue_information`: what several runs' tokens say about the cues of the same scenes.

All runs are measured against the cues of the first, with the same groups of images and draws of the null. The score is
of all tokens, but of as many directions of each as m tokens leave, so runs with other numbers of either do not compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vtbench_analysis.comparison.jackknife_replicates import JackknifeReplicates, comparable_difference, value_of
from vtbench_analysis.comparison.score_rows import ScoreRow
from vtbench_redundancy.features.scene_cues import varying
from vtbench_redundancy.metrics.stacked_observations import Arrays, cues_of
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.scores.estimates import ReferenceImages

NAME = "cue_information"


def cue_replicates(tokens: np.ndarray, images: ReferenceImages, cells: np.ndarray | None = None) -> JackknifeReplicates:
    """Return the replicates of `cue_information`.

    Args:
        tokens: (n, S, m, r) coordinates that say most about the cues.
        images: the cues of the images, in place of their pixels.
        cells: (n, m, r) coordinates of the averages by cell, of images with more than m tokens.
    """
    found = images.estimates(tokens if cells is None else cells[:, None], "constant_tokens")
    if isinstance(found, str):
        return JackknifeReplicates({}, (found,))
    subset = ("subset",) * ((tokens.shape[1] > 1 and cells is None) or found.m < tokens.shape[2])
    return JackknifeReplicates({NAME: found.joint}, images.flags + subset)


def cue_rows(
    metric: str, each: Sequence[Arrays], layer: str, clusters: Sequence[str], protocols: Sequence[Protocol]
) -> list[ScoreRow]:
    """Return the row of `cue_information`; none where a run has no cues."""
    given = [cues_of(arrays, layer, protocol) for arrays, protocol in zip(each, protocols, strict=True)]
    every = [of_run for of_run in given if of_run is not None]
    if len(every) < len(given):
        return []
    first = every[0][1]
    known = np.isfinite(first).all(axis=1)
    columns, names = varying(first[known]), [clusters[i] for i in np.flatnonzero(known).tolist()]
    if len(names) < MIN_IMAGES or not columns.size:
        return []
    images: dict[tuple[object, ...], ReferenceImages] = {}
    found = []
    for (tokens, _, *cells), protocol in zip(every, protocols, strict=True):
        m, r = tokens.shape[2:]
        if (protocol, m, r) not in images:
            images[protocol, m, r] = ReferenceImages(columns[:, :, None], m, r, names, protocol, parts=False)
        found.append(cue_replicates(tokens[known], images[protocol, m, r], cells[0][known] if cells else None))
    values = tuple(value_of(of_run, NAME, protocol) for of_run, protocol in zip(found, protocols, strict=True))
    differences = tuple(
        comparable_difference(
            found[0], other, NAME, protocols[0],
            one_protocol=protocol == protocols[0], one_m=tokens.shape[2:] == every[0][0].shape[2:],
        )
        for (tokens, *_), other, protocol in zip(every[1:], found[1:], protocols[1:], strict=True)
    )  # fmt: skip
    return [ScoreRow(metric, NAME, values, differences, len(names), percent=False)]
