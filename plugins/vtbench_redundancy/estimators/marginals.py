"""The coordinates that estimators see: values of unit variance, tokens whitened, or normal scores in `rs-v1`."""

from __future__ import annotations

import torch
from torch import Tensor

from vtbench_redundancy.estimators.normal_scores import CONSTANT, normal_scores

_RESOLVED = 1e-12
"""Directions of a token with less variance than this, of unit-variance coordinates, are rounding of float32."""


def image_coordinates(x: Tensor, ranks: bool) -> Tensor:
    """Return coordinates of the image, (n, ...), with mean 0 and variance 1; constant ones become zeros.

    Args:
        x: one row an image.
        ranks: map each to normal scores instead.
    """
    if ranks:
        return normal_scores(x)
    x = x.double()
    x = x - x.mean(dim=0, keepdim=True)
    size = x.square().mean(dim=0, keepdim=True).sqrt()
    return torch.where(size > CONSTANT, x / size.clamp_min(1e-12), 0.0)


def token_coordinates(z_nmr: Tensor, ranks: bool) -> Tensor:
    """Return each token's coordinates, whitened: variance 1, uncorrelated within a token.

    Noise of one variance on them is then a resolution that no invertible map of a token's coordinates changes.
    Directions that do not vary become zeros.

    Args:
        z_nmr: one row an image.
        ranks: map each coordinate to normal scores instead, and leave correlations as they are.

    >>> z = torch.randn(500, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> white = token_coordinates(z @ torch.tensor([[1.0, 1.0], [0.0, 0.1]], dtype=torch.float64), ranks=False)[:, 0]
    >>> (white.T @ white / 500).round(decimals=6).tolist() == torch.eye(2).tolist()
    True
    """
    z = image_coordinates(z_nmr, ranks)
    if ranks:
        return z
    values, axes = torch.linalg.eigh(torch.einsum("nmr,nms->mrs", z, z) / len(z))
    scale = torch.where(values > _RESOLVED, values.clamp_min(_RESOLVED).rsqrt(), 0.0)
    return torch.einsum("nmr,mrs->nms", z, axes * scale[:, None, :])
