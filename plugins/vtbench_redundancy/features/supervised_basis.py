"""The supervised basis: of all directions in token space, those that say most about the image.

Principal components keep what varies most, which need not be what a token knows: eight of them drop most of what a
token of a real model says about its image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vtbench_redundancy.features.principal_components import PrincipalAxes, StreamingPCA, oriented

_LEAST_VARIANCE = 1e-10
"""Directions of less variance than this part of the largest are rounding."""
_TOGETHER = 32
"""Images whose products with X are added at once: sums of wide tokens take longer to read and write than to form."""


class SupervisedBasis:
    """Streaming fit of one (d, rank) map for all places of a token.

    With C_i the covariance of token i with X, Σ_x̃ that of X̃ and Σ_zi that of token i, the axes are the leading
    generalised eigenvectors of Σ_i C_i Σ_x̃⁻¹ C_iᵀ against Σ_i Σ_zi. For one token they are the canonical directions
    (Hotelling, "Relations between two sets of variates", Biometrika 28, 1936). An invertible linear map of the token
    space changes the axes but not the coordinates, apart from their scale. Where tokens know nothing no direction is
    preferred. By data processing, coordinates cannot say more than the token; fit them on other images than those that
    are scored, as in-sample they are chosen to agree with X.

    Args:
        tokens: reduces wide tokens first, and says how many axes to keep.
        floor: variance of the noise on X, whose coordinates are scaled to unit variance.
    """

    def __init__(self, tokens: StreamingPCA, floor: float) -> None:
        self._rank, self._floor, self._tokens = tokens.rank, floor, tokens

    def update(self, z_bkd: Tensor, x_bq: Tensor) -> None:
        """Update with a batch: k tokens of d dimensions and q coordinates of each of b images."""
        x = x_bq.double()
        if self._tokens.empty:
            self._count, self._x_origin = 0, x.mean(dim=0)
            self._x, self._xx = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1], x.shape[1])
            self._xz: Tensor | None = None
            self._waiting: list[tuple[Tensor, Tensor]] = []
        near = self._tokens.update(z_bkd)
        x = x - self._x_origin
        self._count += len(x)
        self._x += x.sum(dim=0)
        self._xx += x.T @ x
        self._waiting.append((x.to(near), near.flatten(1)))
        if sum(len(x) for x, _ in self._waiting) >= _TOGETHER:
            self._add_products()

    def _add_products(self) -> None:
        """Add what the images that wait bring to the sums of products."""
        if not self._waiting:
            return
        x, near = map(torch.cat, zip(*self._waiting, strict=True))
        self._waiting.clear()
        if self._xz is None:
            self._xz = near.new_zeros(x.shape[1], near.shape[1])
        self._xz.addmm_(x.T, near)

    def result(self, about: slice = slice(None)) -> PrincipalAxes:
        """Return the leading axes of unit length, in units of the data's root mean square; zeros where there are fewer.

        Args:
            about: the coordinates of X that they are to say most about; one pass serves several targets.

        Raises:
            ValueError: there was no batch.
        """
        plain = self._tokens.result()
        d = len(plain.mean)
        if d <= self._rank:  # nothing to reduce: keep the coordinates
            return plain
        self._add_products()
        assert self._xz is not None
        spectrum = self._tokens.spectrum()
        kept = spectrum.variances > _LEAST_VARIANCE * spectrum.variances[:1]
        if not kept.any():
            return plain
        white = spectrum.axes[:, kept] / spectrum.variances[kept].sqrt()
        x = self._x[about]
        n, q = self._count, len(x)
        cov_x = (self._xx[about, about] - torch.outer(x, x) / n) / n
        scale = cov_x.diagonal().clamp_min(1e-30).rsqrt()
        noisy = cov_x * torch.outer(scale, scale)
        noisy.diagonal().add_(self._floor)
        root_x = torch.linalg.cholesky(noisy)
        cross = (self._xz[about].reshape(-1, d) @ white.to(self._xz)).double().reshape(q, -1)
        cross = cross - torch.outer(x / n, (spectrum.sums @ white).flatten())
        explained = torch.linalg.solve_triangular(root_x, cross / n * scale[:, None], upper=False)
        explained = explained.reshape(-1, white.shape[1])
        vectors = torch.linalg.eigh(explained.T @ explained).eigenvectors.flip(1)[:, : self._rank]
        axes = white @ vectors
        axes = axes / torch.linalg.vector_norm(axes, dim=0)
        axes = torch.nn.functional.pad(axes, (0, self._rank - axes.shape[1]))
        return PrincipalAxes(spectrum.mean.cpu().numpy(), (oriented(axes) / spectrum.scale).cpu().numpy())
