"""Streaming principal component analysis of vectors (b, k, d) at k places of each image (tokens, patches).

A coordinate is in units of the data's root mean square, so that one threshold separates constants from signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

_CHUNK = 1 << 22
"""Values centred at once: the C library reuses memory for copies of this size, but not for larger ones."""


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """An affine map from vectors to coordinates; two small arrays, stored with a run."""

    mean: np.ndarray
    """(d,)"""
    axes: np.ndarray
    """(d, rank)"""

    @property
    def keeps(self) -> bool:
        """Whether the coordinates are the vectors' own."""
        return len(self.axes) == self.axes.shape[1]

    def __call__(self, x_bkd: Tensor) -> Tensor:
        """Return coordinates (b, k, rank), in float32 or, for float64 input, float64."""
        x = x_bkd.to(_wide(x_bkd))
        mean, axes = torch.as_tensor(self.mean).to(x), torch.as_tensor(self.axes).to(x)
        step = max(1, _CHUNK // x[0].numel())
        return torch.cat([(part - mean) @ axes for part in x.split(step)])


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Moments of a stream of vectors, places pooled, each about its own mean."""

    mean: Tensor
    """(d,) over all places."""
    sums: Tensor
    """(k, d) sums of what `update` returned: the vectors less those of the first batch."""
    axes: Tensor
    """(d, s) leading eigenvectors of the covariance."""
    variances: Tensor
    """(s,) along them."""
    scale: float
    """Root mean square of the data."""


class StreamingPCA:
    """Streaming principal components of vectors that stand at fixed places (tokens of an image), one basis for all.

    Each place has its own mean, so that what differs between places but never between images (a position embedding)
    does not count as variance. Of vectors of over `exact` dimensions the covariance C is never formed: the stream
    keeps C Ω for a seeded Gaussian Ω with `projection` columns, whose Nyström approximation C Ω (Ωᵀ C Ω)⁻¹ Ωᵀ C has the
    leading components (Tropp, Yurtsever, Udell and Cevher 2017, arXiv 1706.05736, algorithm 3).
    """

    def __init__(self, rank: int, projection: int, seed: int, exact: int | None = None) -> None:
        self.rank, self._projection, self._seed = rank, projection, seed
        self._exact = projection if exact is None else exact
        self._count = 0

    def update(self, x_bkd: Tensor) -> Tensor:
        """Update with a batch: b images, k places, d dimensions; return it less the mean of the first batch."""
        x = x_bkd.to(_wide(x_bkd))
        if self._count == 0:
            self._dim = x.shape[2]
            self._test = self._test_matrix(x)
            zeros = partial(torch.zeros, dtype=torch.float64, device=x.device)
            self._sum, self._sketch = zeros(x.shape[1], self._dim), zeros(self._dim, self._test.shape[1])
            self._square = 0.0
            # the common part of all tokens may be a thousand times their differences: it must not enter the products
            self._origin = x.mean(dim=0)
        self._count += len(x)
        self._square += float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2 / x[0].numel()
        near = x - self._origin
        self._sum += near.sum(dim=0, dtype=torch.float64)
        flat = near.flatten(0, 1)
        if self._dim <= self._exact:
            flat = flat.double()  # affordable, and then nothing depends on how the images were batched
            self._sketch += flat.T @ flat
        else:
            self._sketch += (flat.T @ (flat @ self._test.to(flat))).double()
        return flat.reshape(near.shape)

    @property
    def empty(self) -> bool:
        """Whether there was no batch yet."""
        return self._count == 0

    def spectrum(self) -> Spectrum:
        """Return the moments of all batches.

        Raises:
            ValueError: there was no batch.
        """
        mean, scale = self._mean_and_scale()
        pooled = self._count * len(self._sum)
        centred = self._sketch - self._sum.T @ (self._sum @ self._test) / self._count
        axes, variances = _leading(centred / pooled, self._test)
        return Spectrum(mean, self._sum, axes, variances, scale)

    def result(self) -> PrincipalAxes:
        """Return the leading axes, in units of the data's root mean square; zeros where the data have fewer.

        Raises:
            ValueError: there was no batch.
        """
        mean, scale = self._mean_and_scale()
        if self._dim <= self.rank:  # nothing to reduce: keep the coordinates
            axes = torch.eye(self._dim, dtype=torch.float64, device=mean.device)
        else:
            axes = self.spectrum().axes[:, : self.rank]
            axes = oriented(torch.nn.functional.pad(axes, (0, self.rank - axes.shape[1])))
        return PrincipalAxes(mean.cpu().numpy(), (axes / scale).cpu().numpy())

    def _mean_and_scale(self) -> tuple[Tensor, float]:
        if self._count == 0:
            raise ValueError("no images to fit principal components on")
        mean = self._origin.double().mean(dim=0) + self._sum.mean(dim=0) / self._count
        return mean, max((self._square / self._count) ** 0.5, 1e-30)

    def _test_matrix(self, x: Tensor) -> Tensor:
        """Ω, (d, projection) float64; the identity where the covariance is small enough to be formed."""
        if self._dim <= self._exact:
            return torch.eye(self._dim, dtype=torch.float64, device=x.device)
        generator = torch.Generator().manual_seed(self._seed)
        return torch.randn(self._dim, self._projection, generator=generator, dtype=torch.float64).to(x.device)


def oriented(axes_dr: Tensor) -> Tensor:
    """Return axes whose largest entry is positive: eigenvectors have no sign of their own."""
    return axes_dr * axes_dr.gather(0, axes_dr.abs().argmax(dim=0, keepdim=True)).sign()


def _leading(sketch: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors and eigenvalues of C, the largest first, from C Ω and Ω."""
    shift = torch.linalg.matrix_norm(sketch) * torch.finfo(torch.float64).eps * len(sketch) ** 0.5
    shifted = sketch + shift * test  # of C + shift, so that the core has a Cholesky root
    core = test.T @ shifted
    values, vectors = torch.linalg.eigh((core + core.T) / 2)
    kept = values > values[-1] * 1e-14
    root = shifted @ (vectors[:, kept] / values[kept].sqrt())
    found = torch.linalg.svd(root, full_matrices=False)
    return found.U, found.S.square()


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
