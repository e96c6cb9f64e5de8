"""From vectors to coordinates: principal components of the first images, then a few numbers an image.

In: vectors (b, k, d) at k places of each picture (tokens, patches), in batches. Out: `Axes`, which make coordinates.
A coordinate is in units of the data's root mean square, so that constants are told from signal by one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Axes:
    """What turns vectors into coordinates. Two small arrays, so that they can be written beside a run."""

    mean: np.ndarray
    """(d,)"""
    axes: np.ndarray
    """(d, rank)"""

    def __call__(self, x_bkd: Tensor) -> Tensor:
        """Return coordinates (b, k, rank), in float32 or, for float64 input, float64."""
        x = x_bkd.to(_wide(x_bkd))
        # centring the product instead of x saves a copy of x, which is what this costs
        slopes, start = torch.as_tensor(self.axes.T.copy()), torch.as_tensor(-self.mean @ self.axes)
        return torch.nn.functional.linear(x, slopes.to(x), start.to(x))


class Components:
    """Streaming principal components of vectors that stand at fixed places (tokens of a picture), one basis for all.

    Each place has its own mean, so that what differs between places but never between pictures (a position embedding)
    does not count as variance. Memory is that of one covariance of at most `projection` dimensions.
    """

    def __init__(self, rank: int, projection: int, seed: int) -> None:
        self._rank, self._projection, self._seed = rank, projection, seed
        self._count = 0

    def update(self, x_bkd: Tensor) -> None:
        """Take in a batch: b images, k places, d numbers."""
        x = x_bkd.to(_wide(x_bkd))
        if self._count == 0:
            self._dim = x.shape[2]
            self._project = self._projector(x)
            width = self._dim if self._project is None else self._project.shape[1]
            self._sum = torch.zeros(x.shape[1], width, dtype=torch.float64, device=x.device)
            self._products = torch.zeros(width, width, dtype=torch.float64, device=x.device)
            self._mean = torch.zeros(self._dim, dtype=torch.float64, device=x.device)
            self._square = 0.0
        self._count += len(x)
        self._mean += x.double().sum(dim=(0, 1)) / x.shape[1]
        self._square += float(x.double().square().mean(dim=(1, 2)).sum())
        x = (x if self._project is None else x @ self._project.to(x)).double()
        self._sum += x.sum(dim=0)
        flat = x.reshape(-1, x.shape[2])
        self._products += flat.T @ flat

    @property
    def empty(self) -> bool:
        """Has nothing come in yet?"""
        return self._count == 0

    def result(self) -> Axes:
        """Return the leading axes, in units of the data's root mean square."""
        if self._count == 0:
            raise ValueError("no images to fit principal components on")
        scale = max((self._square / self._count) ** 0.5, 1e-30)
        mean = self._mean / self._count
        if self._dim <= self._rank:  # nothing to reduce: the coordinates stay what they are
            axes = torch.eye(self._dim, dtype=torch.float64, device=mean.device)
        else:
            products = self._products - self._sum.T @ self._sum / self._count
            axes = torch.linalg.eigh(products).eigenvectors.flip(1)[:, : self._rank]
            if self._project is not None:
                axes = self._project @ axes
            largest = axes.abs().argmax(dim=0, keepdim=True)
            axes = axes * axes.gather(0, largest).sign()  # eigenvectors have no sign of their own
        return Axes(mean.cpu().numpy(), (axes / scale).cpu().numpy())

    def _projector(self, x: Tensor) -> Tensor | None:
        """A seeded Gaussian random projection (Johnson and Lindenstrauss 1984) where the vectors are wide."""
        if self._dim <= self._projection:
            return None
        generator = torch.Generator().manual_seed(self._seed)
        matrix = torch.randn(self._dim, self._projection, generator=generator, dtype=torch.float64)
        return (matrix / self._projection**0.5).to(x.device)


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
