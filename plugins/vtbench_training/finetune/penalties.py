"""Redundancy penalties on a batch's visual tokens.

Tokens are z_bi in R^d, b of B images, i of N tokens. Each penalty lies in [0, 1]: 0 for distinct tokens, 1 for equal
ones. Two ways to lower it without distinct content are tokens that ignore the image and tokens with added noise. The
variance floor prevents the first; `penalty_check` detects the second, by measuring information and accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN = 0.1
"""δ: cosines up to this are no redundancy."""
SIGMA = 0.5
"""σ of the log-determinant: directions weaker than this have little weight."""
FLOOR = 0.1
"""γ: share of a token's energy that must vary from image to image."""
TINY = 1e-6
"""Added to variances and norms, so that a gradient is finite where they are 0."""


def cosine(tokens_BND: Tensor, margin: float = MARGIN) -> Tensor:
    """Mean over images and pairs i ≠ j of relu(cos(z_bi, z_bj) − δ)² / (1 − δ)².

    >>> same, apart = torch.ones(2, 4, 8), torch.eye(8)[:4].expand(2, 4, 8)
    >>> round(float(cosine(same)), 4), round(float(cosine(apart)), 4)
    (1.0, 0.0)

    Args:
        tokens_BND: (B, N, d) visual tokens, N at least 2.
        margin: δ, in [0, 1).
    """
    unit_BND = F.normalize(tokens_BND, dim=2, eps=TINY)
    over_BNN = F.relu(unit_BND @ unit_BND.transpose(1, 2) - margin) / (1 - margin)
    return _off_diagonal(over_BNN).square().mean()


def logdet(tokens_BND: Tensor, sigma: float = SIGMA) -> Tensor:
    """Mean over images of −log det(I + G / σ²), G_ij = cos(z_bi, z_bj), scaled to [0, 1].

    The log-determinant is N log(1 + 1/σ²) for orthogonal tokens, the largest it can be (Hadamard), and
    log(1 + N/σ²) for equal ones: the penalty is 0 and 1 there. N > d tokens cannot all be orthogonal.

    >>> same, apart = torch.ones(2, 4, 8), torch.eye(8)[:4].expand(2, 4, 8)
    >>> round(float(logdet(same)), 4), round(abs(float(logdet(apart))), 4)
    (1.0, 0.0)
    >>> round(float(logdet(torch.cat([apart, apart], dim=1))), 4)  # each token twice
    0.4357

    Args:
        tokens_BND: (B, N, d) visual tokens, N at least 2.
        sigma: σ, above 0.
    """
    unit_BND = F.normalize(tokens_BND, dim=2, eps=TINY)
    count = tokens_BND.shape[1]
    gram_BNN = unit_BND @ unit_BND.transpose(1, 2) / sigma**2
    lower = torch.linalg.cholesky(gram_BNN + torch.eye(count, device=gram_BNN.device))
    volume = 2 * lower.diagonal(dim1=1, dim2=2).log().sum(dim=1).mean()
    ends = torch.tensor([1 + 1 / sigma**2, 1 + count / sigma**2], device=gram_BNN.device).log()
    largest, smallest = count * ends[0], ends[1]
    return (largest - volume) / (largest - smallest)


def decorrelation(tokens_BND: Tensor) -> Tensor:
    """Mean over pairs i ≠ j of C_ij², C_ij = mean over b and coordinates k of z'_bik z'_bjk.

    z' is z with each coordinate of each token standardised over the batch, so that C_ij is the correlation of
    two tokens over images. It is the off-diagonal part of Barlow Twins' loss (Zbontar et al. 2021, arXiv
    2103.03230, equations 1 and 2) with tokens in the place of features.

    >>> z = torch.randn(64, 1, 500, generator=torch.Generator().manual_seed(0))
    >>> round(float(decorrelation(torch.cat([z, z], dim=1))), 3)
    1.0
    >>> other = torch.randn(64, 1, 500, generator=torch.Generator().manual_seed(1))
    >>> round(float(decorrelation(torch.cat([z, other], dim=1))), 3)
    0.0

    Args:
        tokens_BND: (B, N, d) visual tokens, B and N at least 2.
    """
    centred_BND = tokens_BND - tokens_BND.mean(dim=0)
    spread_ND = (centred_BND.square().mean(dim=0) + TINY).sqrt()
    standard_NK = (centred_BND / spread_ND).transpose(0, 1).flatten(1)
    correlation_NN = standard_NK @ standard_NK.T / standard_NK.shape[1]
    return _off_diagonal(correlation_NN[None]).square().mean()


def variance_floor(tokens_BND: Tensor, least: float = FLOOR) -> Tensor:
    """Mean over tokens of relu(1 − v_i / γ)², v_i the share of token i's energy that varies over the batch.

    v_i = Σ_k Var_b(z_bik) / mean_b |z_bi|², in [0, 1]: 0 for a token that is the same for every image. A share has no
    unit, so that scaling the tokens does not change it. The hinge is VICReg's (Bardes et al. 2022,
    arXiv 2105.04906, equation 1), with the share in the place of the standard deviation.

    >>> still = torch.ones(4, 3, 2)
    >>> float(variance_floor(still)), float(variance_floor(still * torch.tensor([1.0, -1, 1, -1])[:, None, None]))
    (1.0, 0.0)

    Args:
        tokens_BND: (B, N, d) visual tokens, B at least 2.
        least: γ, in (0, 1].
    """
    moving_N = tokens_BND.var(dim=0, correction=0).sum(dim=1)
    energy_N = tokens_BND.square().sum(dim=2).mean(dim=0)
    return F.relu(1 - moving_N / (energy_N + TINY) / least).square().mean()


PENALTIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "cosine": cosine,
    "logdet": logdet,
    "decorrelation": decorrelation,
}


def penalty_and_floor(name: str, tokens_BND: Tensor) -> tuple[Tensor, Tensor]:
    """Return the penalty `name`, and the variance floor that always accompanies it, both in float32."""
    with torch.autocast(tokens_BND.device.type, enabled=False):
        tokens_BND = tokens_BND.float()
        return PENALTIES[name](tokens_BND), variance_floor(tokens_BND)


def _off_diagonal(square_BNN: Tensor) -> Tensor:
    """Return the entries off the diagonals, (B, N (N − 1))."""
    count = square_BNN.shape[1]
    return square_BNN[:, ~torch.eye(count, dtype=torch.bool, device=square_BNN.device)]
