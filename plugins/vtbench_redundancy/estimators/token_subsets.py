"""Mutual information of an image's first k tokens with noisy pixels, for every k and several orders of the tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vtbench_redundancy.estimators.gaussian import GroupSums
from vtbench_redundancy.estimators.threads import map_in_threads


def information_of_first(
    sums: GroupSums, keep_TG: Tensor, jitter: float, orders_Cm: Tensor, counts: Sequence[int]
) -> dict[int, Tensor]:
    """Estimate I(Z_S ; X̃) in nats, less the mean over the null, averaged over the first k tokens S of several orders.

    For Gaussian variables I(Z_S ; X) = ½ log(|Σ_Z[S]| / |Σ_Z|X[S]|) (Cover and Thomas, Elements of Information Theory,
    eq. 8.4 and 2.45). A Cholesky root of a covariance has the root of each leading block in it, so one root of the
    tokens in an order has the determinants of all their first k.

    Args:
        sums: of the tokens, X̃ and its null.
        keep_TG: one row a subset of the images: 1 for the groups that are in, 0 for those left out.
        jitter: added to the tokens' variances.
        orders_Cm: C orders of the tokens.
        counts: the k that are wanted.

    Returns:
        (T,) by k, in-sample.

    >>> from vtbench_redundancy.estimators.permutation_null import noisy_pixels
    >>> x = torch.randn(4000, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> sums = GroupSums.of(x, noisy_pixels(x.flatten(1), (2000, 2000), floor=0.01, permutations=5, seed=0))
    >>> found = information_of_first(sums, torch.ones(1, 2), 1e-3, torch.tensor([[0, 1], [1, 0]]), (1, 2))
    >>> round(float(found[2] / found[1]), 2)
    2.0
    """
    r = (sums.zz.shape[-1] - 1) // sums.m
    ends = torch.as_tensor([k * r - 1 for k in counts], device=sums.zz.device)
    last = int(ends.max()) + 1
    places_CM = (orders_Cm[..., None] * r + torch.arange(r)).flatten(1)[:, :last].to(sums.zz.device)

    def nats(keep: Tensor) -> Tensor:
        """Plug-in by draw, (draws and null, counts)."""
        cov_z, cov_zy, cov_x = sums.covariances(keep, jitter)
        draws, q, _ = cov_x.shape
        root_x = torch.linalg.cholesky(cov_x)
        before, found = _half_log_dets(cov_z[places_CM[:, :, None], places_CM[:, None, :]], ends), []
        for root, cross in zip(root_x, cov_zy.reshape(-1, draws, q).unbind(1), strict=True):
            told = torch.linalg.solve_triangular(root, cross.T, upper=False)
            rest = cov_z - told.T @ told
            after = _half_log_dets(rest[places_CM[:, :, None], places_CM[:, None, :]], ends)
            found.append((before - after).mean(dim=0))
        return torch.stack(found)

    found_TBk = torch.stack(map_in_threads(nats, [(keep,) for keep in keep_TG.to(sums.zz)], sums.zz.device))
    return dict(zip(counts, sums.less_null(found_TBk).T, strict=True))


def _half_log_dets(covariances_CMM: Tensor, ends: Tensor) -> Tensor:
    """Half the log-determinants of leading blocks, (C, blocks), by the index at which each ends."""
    roots = torch.linalg.cholesky(covariances_CMM)
    return roots.diagonal(dim1=1, dim2=2).log().cumsum(dim=1)[:, ends]
