"""Gaussian-copula mutual information of token groups with noisy pixels, for many subsets of the images at once.

In: coordinates (images first). Out: mutual information in nats, less the same estimate under a null.
Everything works on sums over groups of images, so a jackknife replicate costs one small factorisation, never another
pass over the images; a permutation changes the cross-covariance only.

Float64 throughout: log-determinants of near-copies need it. Works on the device of its input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CONSTANT = 1e-6
"""A coordinate whose standard deviation is below this (in units of its basis, see `basis.py`) counts as constant."""


def normal_scores(x: Tensor) -> Tensor:
    """Map every coordinate to the normal quantiles of its ranks: the rank copula, with unit variance.

    Ties share their mean rank. A constant coordinate becomes zeros. A coordinate that is already Gaussian, as far as
    its Shapiro-Francia statistic can tell, is only centred and scaled: ranks would add noise to it of a variance near
    1/n, which hides what nearly noiseless tokens say together.

    Args:
        x: (n, ...) one row an image.

    Returns:
        Float64 of the same shape; every coordinate has mean 0 and variance 1 (or is all 0).

    >>> normal_scores(torch.tensor([3.0, 1.0, 2.0, 1e9, 4.0, 5.0, 6.0, 7.0])).round(decimals=2).tolist()
    [-0.53, -1.66, -0.96, 1.66, -0.17, 0.17, 0.53, 0.96]
    """
    n = x.shape[0]
    columns = x.reshape(n, -1).T.contiguous().double()
    ordered = columns.sort(dim=1).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    ranked = _standard(torch.special.ndtri((below + up_to).double() / (2 * n)))
    plain = _standard(columns)
    gaussian = (ranked * plain).mean(dim=1, keepdim=True).square() > _shapiro_francia(n)
    varies = columns.std(dim=1, keepdim=True) > CONSTANT
    scores = torch.where(varies, torch.where(gaussian, plain, ranked), torch.zeros_like(ranked))
    return scores.T.reshape(x.shape).contiguous()


def _standard(rows: Tensor) -> Tensor:
    """Rows of mean 0 and variance 1; constant rows become zeros."""
    rows = rows - rows.mean(dim=1, keepdim=True)
    return rows / rows.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)


def _shapiro_francia(n: int) -> float:
    """The value below which W' (the squared correlation with normal quantiles) rejects a Gaussian at 1 in 1,000.

    Royston 1993, Statistics in Medicine 12:181 (approximation of the null distribution of log(1 - W')).
    """
    u, v = math.log(n), math.log(math.log(n))
    return 1 - math.exp(-1.2725 + 1.0521 * (v - u) + 3.09 * (1.0308 - 0.26758 * (v + 2 / u)))


@dataclass(frozen=True, slots=True)
class NoisyPixels:
    """X̃ and its null, drawn several times. Rows are sorted by group."""

    noisy: Tensor
    """(B, n, q) X + ε, another ε for each draw."""
    shuffled: Tensor
    """(B or 0, n, q) the rows of `noisy` permuted against the tokens."""
    sizes: tuple[int, ...]
    """Images in each group."""


def noisy_pixels(x_nq: Tensor, sizes: tuple[int, ...], floor: float, permutations: int, seed: int) -> NoisyPixels:
    """Draw X̃ = X + ε and a permutation of it, `permutations` times.

    The noise is really drawn, not added to the covariance: then the sample covariance is Wishart and the bias of its
    log-determinants does not depend on the truth, which is what lets a null take it away. The permutation is one random
    cycle within each group: no image meets its own pixels, and the sums over a group stay what they are.

    Args:
        x_nq: pixel coordinates of unit variance, rows sorted by group.
        sizes: images in each group, at least 2.
        floor: variance of ε.
        permutations: draws; 0 means one draw and no null.
        seed: of the noise and the permutations.
    """
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device
    noisy, shuffled = [], []
    for _ in range(max(permutations, 1)):
        noise = torch.randn(x_nq.shape, generator=generator, dtype=torch.float64).to(x_nq.device)
        noisy.append(x_nq + math.sqrt(floor) * noise)
        if permutations:
            partner, start = torch.empty(len(x_nq), dtype=torch.long), 0
            for size in sizes:
                cycle = start + torch.randperm(size, generator=generator)
                partner[cycle] = cycle.roll(1)
                start += size
            shuffled.append(noisy[-1][partner.to(x_nq.device)])
    return NoisyPixels(torch.stack(noisy), torch.stack(shuffled) if shuffled else x_nq.new_empty(0, *x_nq.shape), sizes)


@dataclass(frozen=True, slots=True)
class Information:
    """Mutual information with X̃ in nats, less its null, for T subsets of the images."""

    joint: Tensor
    """(T,) I(Z_1..Z_m ; X̃)."""
    each: Tensor
    """(T, m) I(Z_i ; X̃)."""
    null_spread: float
    """Standard deviation of Σ_i I(Z_i ; X̃) over the permutations, all images; 0 without a null."""

    @property
    def total(self) -> Tensor:
        """(T,) Σ_i I(Z_i ; X̃)."""
        return self.each.sum(dim=1)


def information(z_nmr: Tensor, pixels: NoisyPixels, keep_TG: Tensor, jitter: float) -> Information:
    """Estimate I(Z_1..Z_m ; X̃) and every I(Z_i ; X̃) by log-determinants of covariances, less the mean over the null.

    For Gaussian variables I(Z;X) = ½ log(|Σ_X| / |Σ_X − Σ_XZ Σ_Z⁻¹ Σ_ZX|) (Cover and Thomas, Elements of Information
    Theory, eq. 8.4 and 2.45); on normal scores that is the Gaussian-copula estimator of Ince et al. 2017,
    doi:10.1002/hbm.23471.

    Args:
        z_nmr: normal scores of the tokens, rows sorted by group as those of `pixels`.
        pixels: X̃ and its null.
        keep_TG: one row a subset of the images: 1 for the groups that are in, 0 for those left out.
        jitter: added to the tokens' variances.
    """
    n, m, r = z_nmr.shape
    draws, _, q = pixels.noisy.shape
    z = z_nmr.reshape(n, m * r)
    y = torch.cat([pixels.noisy, pixels.shuffled]).permute(1, 0, 2).reshape(n, -1)  # columns: draw, then coordinate
    parts = [
        (zg.T @ zg, zg.T @ yg, torch.einsum("nbp,nbq->bpq", xg, xg), zg.sum(0), xg.sum(0))
        for zg, yg in zip(z.split(pixels.sizes), y.split(pixels.sizes), strict=True)
        for xg in [yg[:, : draws * q].reshape(-1, draws, q)]
    ]
    zz, zy, xx, z_sum, x_sum = (torch.stack(group) for group in zip(*parts, strict=True))
    counts = torch.tensor(pixels.sizes, dtype=torch.float64, device=z.device)
    identity = torch.eye(m * r, dtype=torch.float64, device=z.device)
    joint, each = [], []
    for keep in keep_TG.to(z):
        count = keep @ counts
        z_mean, x_mean = keep @ z_sum / count, torch.tensordot(keep, x_sum, 1) / count
        y_mean = x_mean if len(pixels.shuffled) == 0 else torch.cat([x_mean, x_mean])  # a permutation keeps the mean
        cov_z = torch.tensordot(keep, zz, 1) / count - torch.outer(z_mean, z_mean) + jitter * identity
        cov_zy = torch.tensordot(keep, zy, 1) / count - torch.outer(z_mean, y_mean.flatten())
        cov_x = torch.tensordot(keep, xx, 1) / count - torch.einsum("bp,bq->bpq", x_mean, x_mean)
        of_all, of_each = _log_determinants(cov_z, cov_zy, cov_x, r)
        joint.append(of_all)
        each.append(of_each)
    joint_TB, each_TBm = torch.stack(joint), torch.stack(each)
    spread = 0.0
    if len(pixels.shuffled):
        spread = float(each_TBm[0, draws:].sum(dim=1).std()) if draws > 1 else 0.0
        joint_TB = joint_TB[:, :draws] - joint_TB[:, draws:]
        each_TBm = each_TBm[:, :draws] - each_TBm[:, draws:]
    return Information(joint_TB.mean(dim=1), each_TBm.mean(dim=1), spread)


def _log_determinants(cov_z: Tensor, cov_zy: Tensor, cov_x: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """Plug-in I(Z;Y_b) and I(Z_i;Y_b): (C,) and (C, m); the C = c·B parts of Y repeat the B covariances of X̃."""
    draws, q, _ = cov_x.shape
    size = cov_z.shape[0]
    copies = cov_zy.shape[1] // (draws * q)
    cov_x = cov_x.repeat(copies, 1, 1)
    root_x = torch.linalg.cholesky(cov_x)
    explained = torch.linalg.solve_triangular(torch.linalg.cholesky(cov_z), cov_zy, upper=False)
    explained = explained.reshape(size, -1, q).permute(1, 0, 2)  # (C, m·r, q)
    rest = torch.linalg.cholesky(cov_x - explained.mT @ explained)
    joint = _log_diagonal(root_x) - _log_diagonal(rest)

    blocks = cov_z.reshape(size // r, r, size // r, r).diagonal(dim1=0, dim2=2).permute(2, 0, 1)  # (m, r, r)
    cross = cov_zy.reshape(-1, r, cov_zy.shape[1])
    own = torch.linalg.solve_triangular(torch.linalg.cholesky(blocks), cross, upper=False)
    own = own.reshape(size, -1, q).permute(1, 2, 0)  # (C, q, m·r)
    own = torch.linalg.solve_triangular(root_x, own, upper=False).reshape(len(cov_x), q, -1, r).permute(0, 2, 1, 3)
    rest = torch.linalg.cholesky(torch.eye(r, dtype=own.dtype, device=own.device) - own.mT @ own)
    return joint, -_log_diagonal(rest)


def _log_diagonal(root: Tensor) -> Tensor:
    """Half the log-determinant of L Lᵀ."""
    return root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
