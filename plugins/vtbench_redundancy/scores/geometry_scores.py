"""S3, geometry: ranks, cosine and norm inequality of an image's tokens, relative to those of random tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

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
    counts: Sequence[int] | None = None,
) -> dict[str, Score]:
    """Average over images, and compare with random tokens: ranks as a ratio, cosine and Gini as a difference.

    Args:
        measured: (n, 5), one row of `token_geometry` an image.
        shape: N and d.
        clusters: images of one cluster share a scene; by default each its own.
        protocol: its settings.
        detail: further facts to be printed with every score.
        counts: N of each image where they differ; each is then compared with random tokens of its own N.

    Returns:
        `effective_rank_rel`, `participation_rel`, `stable_rank_rel` (1: as random tokens; less: fewer directions) and
        `cosine_excess`, `norm_gini_excess` (0: as random tokens), with the raw mean and the null in the details; None
        under 50 images.
    """
    n, facts = len(measured), dict(detail or {}) | {"N": shape[0], "d": shape[1]}
    images_by_count = Counter(counts or ())
    mixed = len(images_by_count) > 1
    if mixed:
        facts |= {"N": None, "images_by_token_count": {str(count): k for count, k in sorted(images_by_count.items())}}
    elif images_by_count:
        shape = (next(iter(images_by_count)), shape[1])
        facts["N"] = shape[0]
    names = [f"{name}_rel" for name in MEASURES[:3]] + [f"{name}_excess" for name in MEASURES[3:]]
    if n < MIN_IMAGES:
        return {name: Score(None, n=n, flags=("few_images",), detail=facts, percent=False) for name in names}
    groups = assign_groups(n, clusters, protocol.groups, protocol.seed)
    keep_TG = jackknife_subsets(groups.sizes, float("inf"))
    means_T5 = group_means(measured, groups, keep_TG)
    write = ScoreWriter(n, protocol, facts, groups.flags)
    if mixed:
        nulls = {count: random_tokens(count, shape[1], protocol.seed) for count in images_by_count}
        nulls_n5 = np.array([nulls[count] for count in counts or ()])
        ratios_T5 = group_means(measured / np.maximum(nulls_n5, 1e-30), groups, keep_TG)
        excess_T5 = group_means(measured - nulls_n5, groups, keep_TG)
        null = tuple(nulls_n5.mean(axis=0).tolist())
    else:
        null = random_tokens(*shape, protocol.seed)
        ratios_T5 = torch.stack([means_T5[:, i] / max(null[i], 1e-30) for i in range(len(MEASURES))], dim=1)
        excess_T5 = torch.stack([means_T5[:, i] - null[i] for i in range(len(MEASURES))], dim=1)
    return {
        name: write((ratios_T5 if name.endswith("_rel") else excess_T5)[:, i], raw=float(means_T5[0, i]), null=null[i])
        for i, name in enumerate(names)
    }
