"""S3, geometry: how far an image's tokens are from pointing everywhere alike.

In: tokens (b, N, d). Out: five numbers an image, what random tokens of that number and width would give, and scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Score
from vtbench_redundancy.groups import deal, means, subsets
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.writing import Writer

NUMBERS = ("effective_rank", "participation", "stable_rank", "cosine", "norm_gini")
"""What `geometry` measures, in this order."""
NULL_DRAWS = 8


def geometry(tokens_bNd: Tensor) -> Tensor:
    """Measure each image's tokens; the ranks are of the tokens less their mean, σ_k being singular values.

    | number | formula | source |
    |---|---|---|
    | effective_rank | exp(−Σ p_k log p_k), p_k = σ_k / Σ σ | Roy and Vetterli, EUSIPCO 2007, eq. 3 |
    | participation | (Σ σ²)² / Σ σ⁴ | Gao et al. 2017, doi:10.1101/214262 |
    | stable_rank | Σ σ² / max σ² | Rudelson and Vershynin, J. ACM 54 (2007), section 1 |
    | cosine | mean cosine between two different tokens | |
    | norm_gini | Gini coefficient of the tokens' norms | |

    Args:
        tokens_bNd: at least two tokens an image.

    Returns:
        (b, 5) float32 in the order of `NUMBERS`, without unit. Tokens that are all alike have ranks of 0; vectors of
        length 0 have cosines of 0.

    >>> geometry(torch.eye(4)[None, :3])[0].round(decimals=3).tolist()
    [2.0, 2.0, 2.0, 0.0, 0.0]
    """
    tokens = tokens_bNd.double() if tokens_bNd.dtype == torch.float64 else tokens_bNd.float()
    tokens = tokens / tokens.abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)  # no overflow, no other effect
    n = tokens.shape[1]
    norms = tokens.norm(dim=2)
    unit = tokens / norms.clamp_min(1e-30)[:, :, None]
    cosine = (unit.sum(dim=1).square().sum(dim=1) - unit.square().sum(dim=(1, 2))) / (n * (n - 1))
    order = torch.arange(1, n + 1, device=tokens.device, dtype=tokens.dtype)
    gini = ((2 * order - n - 1) * norms.sort(dim=1).values).sum(dim=1) / (n * norms.sum(dim=1).clamp_min(1e-30))

    centred = tokens - tokens.mean(dim=1, keepdim=True)
    small = centred if tokens.shape[2] > n else centred.mT  # the Gram matrix of the shorter side has the same spectrum
    gram = small @ small.mT
    total = gram.diagonal(dim1=1, dim2=2).sum(dim=1)
    varies = total > 1e-10 * tokens.square().sum(dim=(1, 2))
    power = torch.linalg.eigvalsh(gram)  # σ²
    power = torch.where(power > n * torch.finfo(power.dtype).eps * power.amax(dim=1, keepdim=True), power, 0)
    share = power.sqrt() / power.sqrt().sum(dim=1, keepdim=True).clamp_min(1e-30)
    ranks = torch.stack(
        [
            (-torch.special.xlogy(share, share).sum(dim=1)).exp(),
            total.square() / power.square().sum(dim=1).clamp_min(1e-30),
            total / power.amax(dim=1).clamp_min(1e-30),
        ],
        dim=1,
    )
    ranks = torch.where(varies[:, None], ranks, 0)
    return torch.cat([ranks, cosine[:, None], gini[:, None]], dim=1).float()


@lru_cache(maxsize=64)
def random_tokens(count: int, width: int, seed: int = 0) -> tuple[float, ...]:
    """What `geometry` gives for independent Gaussian tokens: the mean of 8 draws.

    Without it the numbers mislead: 576 random tokens of 4,096 dimensions have a participation ratio of 0.88 N, of 256
    dimensions 0.31 N.

    >>> [round(value / 64, 2) for value in random_tokens(64, 16)[:2]]
    [0.24, 0.2]
    """
    generator = torch.Generator().manual_seed(seed)
    draws = [geometry(torch.randn(1, count, width, generator=generator)) for _ in range(NULL_DRAWS)]
    return tuple(torch.cat(draws).double().mean(dim=0).tolist())


def scores(
    measured: np.ndarray,
    shape: tuple[int, int],
    clusters: Sequence[str] | None = None,
    protocol: Protocol = Protocol(),  # noqa: B008
    detail: Mapping[str, Any] | None = None,
) -> dict[str, Score]:
    """Average over images, and set against random tokens: ranks as a ratio to theirs, cosine and Gini as what is more.

    Args:
        measured: (n, 5), one row of `geometry` an image.
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
    names = [f"{name}_rel" for name in NUMBERS[:3]] + [f"{name}_excess" for name in NUMBERS[3:]]
    if n < MIN_IMAGES:
        return {name: Score(None, n=n, flags=("few_images",), detail=facts, percent=False) for name in names}
    groups = deal(n, clusters, protocol.groups, protocol.seed)
    means_T5 = means(measured, groups, subsets(groups.sizes, float("inf")))
    null = random_tokens(*shape, protocol.seed)
    write = Writer(n, protocol, facts, groups.flags)
    found = {}
    for i, name in enumerate(names):
        relative = means_T5[:, i] / max(null[i], 1e-30) if name.endswith("_rel") else means_T5[:, i] - null[i]
        found[name] = write(relative, raw=float(means_T5[0, i]), null=null[i])
    return found
