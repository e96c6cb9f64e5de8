"""Gaussian mutual information of tokens with noisy pixels, less its mean under the null, for many image subsets.

All estimates come from sums over groups of images. A jackknife replicate or a fold of cross-validation subtracts its
groups from the sums and costs one small factorisation, never another pass over the images; a permutation changes only
the cross-covariance.

Float64 throughout: log-determinants of near-copies need it. Works on the device of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vtbench_redundancy.estimators.covariances import blocks, half_log_det, half_log_det_of_root
from vtbench_redundancy.estimators.permutation_null import NoisyPixels
from vtbench_redundancy.estimators.threads import map_in_threads


@dataclass(frozen=True, slots=True)
class Information:
    """Mutual information with X̃ in nats, less its null, for T subsets of the images."""

    joint: Tensor
    """(T,) I(Z_1..Z_m ; X̃)."""
    each: Tensor
    """(T, m) I(Z_i ; X̃)."""
    null_spread: float
    """Standard deviation of Σ_i I(Z_i ; X̃) over the permutations, all images; 0 without a null."""
    joint_spread: float = 0.0
    """The same of I(Z_1..Z_m ; X̃)."""

    @property
    def total(self) -> Tensor:
        """(T,) Σ_i I(Z_i ; X̃)."""
        return self.each.sum(dim=1)


def information(
    sums: GroupSums, keep_TG: Tensor, jitter: float | Tensor, crossed_T: Sequence[bool] | None = None
) -> Information:
    """Estimate I(Z_1..Z_m ; X̃) and every I(Z_i ; X̃) by log-determinants of covariances, less the mean over the null.

    For Gaussian variables I(Z;X) = ½ log(|Σ_X| / |Σ_X|Z|) (Cover and Thomas, Elements of Information Theory, eq. 8.4
    and 2.45), Σ_X|Z being the covariance of what a regression of X on Z leaves; on normal scores that is the
    Gaussian-copula estimator of Ince et al. 2017, doi:10.1002/hbm.23471.

    Residuals are too small on the images that the regression was fitted on and too large on held-out images, by factors
    whose product is 1 (1 - h and 1 / (1 - h) at leverage h); so the mean of both estimates is taken. A null alone
    corrects the in-sample bias exactly for Gaussian data, but leaves much of it where images with high leverage are
    also predicted worst, as rendered images are.

    Args:
        sums: of the tokens, X̃ and its null.
        keep_TG: one row a subset of the images: 1 for the groups that are in, 0 for those left out.
        jitter: added to the tokens' variances; one number, or (p,) one a coordinate.
        crossed_T: which subsets to average with the cross-validated estimate, each group predicted from the subset's
            other groups; by default all that have two groups or more.

    >>> from vtbench_redundancy.estimators.permutation_null import noisy_pixels
    >>> x, noise = torch.randn(2, 4000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> pixels = noisy_pixels(x, (2000, 2000), floor=0.01, permutations=5, seed=0)
    >>> found = information(GroupSums.of((x + noise)[:, None], pixels), torch.ones(1, 2), jitter=1e-6)
    >>> round(float(found.joint), 2), round(0.5 * float(torch.tensor(2.02 / 1.02).log()), 2)
    (0.34, 0.34)
    """
    places = torch.arange(sums.zz.shape[-1] - 1, device=sums.zz.device)
    crossed = (keep_TG.count_nonzero(dim=1) > 1).tolist() if crossed_T is None else crossed_T

    def of_subset(keep: Tensor, cross: bool) -> tuple[Tensor, Tensor]:
        of_all, of_each = _in_sample(sums, keep, jitter)
        if cross:
            of_all = (of_all + _cross_validated(sums, places[None], keep, jitter)[0]) / 2
            of_each = (of_each + _cross_validated(sums, places.reshape(sums.m, -1), keep, jitter).T) / 2
        return of_all, of_each

    found = map_in_threads(of_subset, list(zip(keep_TG.to(sums.zz), crossed, strict=True)), sums.zz.device)
    joint_TC, each_TCm = (torch.stack(part) for part in zip(*found, strict=True))
    null_Cm = each_TCm[0, sums.draws :]
    spread, joint_spread = (
        float(null.std()) if len(null) > 1 else 0.0 for null in (null_Cm.sum(dim=1), joint_TC[0, sums.draws :])
    )
    return Information(sums.less_null(joint_TC), sums.less_null(each_TCm), spread, joint_spread)


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums over each of G groups of images, of C draws of X̃ and of its null.

    Z has a column of ones behind its p = m·r coordinates, for the means.
    """

    zz: Tensor
    """(G, p + 1, p + 1)"""
    zy: Tensor
    """(G, p + 1, C·q): the draws of X̃, then those of the null."""
    yy: Tensor
    """(G, C, q, q)"""
    y: Tensor
    """(G, C, q)"""
    count: Tensor
    """(G,)"""
    m: int
    draws: int
    """Of X̃; what follows is the null."""

    @classmethod
    def of(cls, z_nmr: Tensor, pixels: NoisyPixels) -> GroupSums:
        """Return the sums.

        Args:
            z_nmr: coordinates of the tokens, rows sorted by group as those of `pixels`.
            pixels: X̃ and its null.
        """
        n, m, _ = z_nmr.shape
        draws, _, q = pixels.noisy.shape
        repeats = 2 if len(pixels.shuffled) else 1  # a permutation within a group keeps the group's own sums
        z = torch.cat([z_nmr.reshape(n, -1), z_nmr.new_ones(n, 1)], dim=1)
        y = torch.cat([pixels.noisy, pixels.shuffled]).permute(1, 0, 2).reshape(n, -1)
        zz, zy, yy, sums = [], [], [], []
        for zg, yg in zip(z.split(pixels.sizes), y.split(pixels.sizes), strict=True):
            xg = yg[:, : draws * q].reshape(-1, draws, q).transpose(0, 1)
            zz.append(zg.T @ zg)
            zy.append(zg.T @ yg)
            yy.append((xg.mT @ xg).repeat(repeats, 1, 1))
            sums.append(xg.sum(dim=1).repeat(repeats, 1))
        counts = torch.tensor(pixels.sizes, dtype=z.dtype, device=z.device)
        return cls(torch.stack(zz), torch.stack(zy), torch.stack(yy), torch.stack(sums), counts, m, draws)

    def covariance_of_pixels(self, keep: Tensor) -> Tensor:
        """Return Σ_X̃ of each draw over the groups where `keep` is 1, (C, q, q)."""
        count = keep @ self.count
        mean = torch.tensordot(keep, self.y, 1) / count
        return torch.tensordot(keep, self.yy, 1) / count - mean[..., :, None] * mean[..., None, :]

    def covariances(self, keep: Tensor, jitter: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Σ_Z (p, p) with the jitter, Σ_ZX̃ (p, C·q) and Σ_X̃ (C, q, q) over the groups where `keep` is 1."""
        count = keep @ self.count
        zz, zy = torch.tensordot(keep, self.zz, 1), torch.tensordot(keep, self.zy, 1)
        mean = zz[-1, :-1] / count
        cov_z = zz[:-1, :-1] / count - torch.outer(mean, mean)
        cov_z.diagonal().add_(jitter)
        return cov_z, zy[:-1] / count - torch.outer(mean, zy[-1] / count), self.covariance_of_pixels(keep)

    def less_null(self, found_TC: Tensor) -> Tensor:
        """Average over draws, (T, C, ...) to (T, ...), less the average over the null, if there is one."""
        real = found_TC[:, : self.draws].mean(dim=1)
        null = found_TC[:, self.draws :]
        return real - null.mean(dim=1) if null.shape[1] else real


def _in_sample(s: GroupSums, keep: Tensor, jitter: float | Tensor) -> tuple[Tensor, Tensor]:
    """Plug-in I(Z;Y_c) and I(Z_i;Y_c), (C,) and (C, m)."""
    cov_z, cov_zy, cov_x = s.covariances(keep, jitter)
    draws, q, _ = cov_x.shape
    m = s.m
    size, r = len(cov_z), len(cov_z) // m
    root_x = torch.linalg.cholesky(cov_x)
    explained = torch.linalg.solve_triangular(torch.linalg.cholesky(cov_z), cov_zy, upper=False)
    explained = explained.reshape(size, -1, q).permute(1, 0, 2)  # (C, m·r, q)
    joint = half_log_det_of_root(root_x) - half_log_det(cov_x - explained.mT @ explained)

    # One token's determinant is that of an r x r matrix: |Σ_X - C Σ_Z⁻¹ Cᵀ| / |Σ_X| = |1 - ...|.
    own = torch.linalg.solve_triangular(torch.linalg.cholesky(blocks(cov_z, m)), cov_zy.reshape(m, r, -1), upper=False)
    own = own.reshape(size, -1, q).permute(1, 2, 0)  # (C, q, m·r)
    own = torch.linalg.solve_triangular(root_x, own, upper=False).reshape(draws, q, m, r).permute(0, 2, 1, 3)
    rest = torch.eye(r, dtype=own.dtype, device=own.device) - own.mT @ own
    return joint, -half_log_det(rest)


def _cross_validated(s: GroupSums, tokens_kr: Tensor, keep: Tensor, jitter: float | Tensor) -> Tensor:
    """I(Z_i;Y_c) from what is left of each group's Y when the regression comes from the subset's other groups.

    Args:
        s: sums over the groups.
        tokens_kr: the coordinates of each of k tokens.
        keep: the subset, (G,).
        jitter: as in `information`.

    Returns:
        (k, C) in nats.
    """
    k, r = tokens_kr.shape
    draws, q = s.y.shape[1:]
    last = torch.full((k, 1), s.zz.shape[-1] - 1, device=s.zz.device)
    place = torch.cat([tokens_kr, last], dim=1)
    ridge = jitter * torch.eye(r + 1, dtype=s.zz.dtype, device=s.zz.device)
    ridge[-1, -1] = 0  # the mean is not shrunk

    def square(zz: Tensor) -> Tensor:
        return zz[place[:, :, None], place[:, None, :]]

    def by_draw(columns: Tensor) -> Tensor:
        """(k, r + 1, C·q) -> (k·C, r + 1, q)."""
        return columns.reshape(k, r + 1, draws, q).transpose(1, 2).reshape(k * draws, r + 1, q)

    count = keep @ s.count
    all_zz, all_zy = square(torch.tensordot(keep, s.zz, 1)), torch.tensordot(keep, s.zy, 1)[place]
    left = torch.tensordot(keep, s.yy, 1).repeat(k, 1, 1)
    for g in keep.nonzero().flatten().tolist():
        zz, zy = square(s.zz[g]), s.zy[g][place]
        root = torch.linalg.cholesky(all_zz - zz + (count - s.count[g]) * ridge)
        slopes = torch.cholesky_solve(all_zy - zy, root)
        # Σ (y - Bᵀz)(y - Bᵀz)ᵀ = Σ yyᵀ + Bᵀ(Szz B - Szy) - Szyᵀ B
        left.baddbmm_(
            torch.cat([by_draw(slopes), by_draw(zy)], dim=1).mT,
            torch.cat([by_draw(zz @ slopes - zy), by_draw(-slopes)], dim=1),
        )
    return half_log_det(s.covariance_of_pixels(keep)) - half_log_det(left / count).reshape(k, draws)
