"""S3, geometry: ranks, cosine and norm inequality of an image's tokens, relative to those of random tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vtbench.types import Score
from vtbench_redundancy.estimators.image_groups import assign_groups, group_means, jackknife_subsets
from vtbench_redundancy.features.token_geometry import MEASURES, random_tokens
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.scores.score_writer import ScoreWriter


def geometry_scores(
    measured: np.ndarray,
    shape: tuple[int, int],
    clusters: Sequence[str] | None = None,
    protocol: Protocol = Protocol(),  # noqa: B008
    detail: Mapping[str, Any] | None = None,
) -> dict[str, Score]:
    """Average over images, and compare with random tokens: ranks as a ratio, cosine and Gini as a difference.

    Args:
        measured: (n, 5), one row of `token_geometry` an image.
        shape: N and d.
        clusters: images of one cluster share a scene; by default each its own.
        protocol: its settings.
        detail: further facts to be printed with every score.

    Returns:
        `effective_rank_rel`, `participation_rel`, `stable_rank_rel` (1: as random tokens; less: fewer directions) and
        `cosine_excess`, `norm_gini_excess` (0: as random tokens), with the raw mean and the null in the details; None
        under 50 images.
    """
    n, facts = len(measured), dict(detail or {}) | {"N": shape[0], "d": shape[1]}
    names = [f"{name}_rel" for name in MEASURES[:3]] + [f"{name}_excess" for name in MEASURES[3:]]
    if n < MIN_IMAGES:
        return {name: Score(None, n=n, flags=("few_images",), detail=facts, percent=False) for name in names}
    groups = assign_groups(n, clusters, protocol.groups, protocol.seed)
    means_T5 = group_means(measured, groups, jackknife_subsets(groups.sizes, float("inf")))
    null = random_tokens(*shape, protocol.seed)
    write = ScoreWriter(n, protocol, facts, groups.flags)
    found = {}
    for i, name in enumerate(names):
        relative = means_T5[:, i] / max(null[i], 1e-30) if name.endswith("_rel") else means_T5[:, i] - null[i]
        found[name] = write(relative, raw=float(means_T5[0, i]), null=null[i])
    return found
