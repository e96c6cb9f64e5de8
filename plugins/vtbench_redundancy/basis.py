"""From tokens and patches to coordinates: principal components of the first images, then a few numbers an image.

In: tokens (b, N, d) and patches (b, P, p) in batches. Out: a `Basis` of a few small arrays, and coordinates under it.
A coordinate is in units of the data's root mean square, so that constants are told from signal by one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.protocol import Protocol


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

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean (d,) and the axes (d, rank), in units of the data's root mean square."""
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
        return mean.cpu().numpy(), (axes / scale).cpu().numpy()

    def _projector(self, x: Tensor) -> Tensor | None:
        """A seeded Gaussian random projection (Johnson and Lindenstrauss 1984) where the vectors are wide."""
        if self._dim <= self._projection:
            return None
        generator = torch.Generator().manual_seed(self._seed)
        matrix = torch.randn(self._dim, self._projection, generator=generator, dtype=torch.float64)
        return (matrix / self._projection**0.5).to(x.device)


def coordinates(x_bkd: Tensor, mean: np.ndarray, axes: np.ndarray) -> Tensor:
    """Coordinates (b, k, rank) of vectors under a basis, in float32 or, for float64 input, float64."""
    x = x_bkd.to(_wide(x_bkd))
    return (x - torch.as_tensor(mean).to(x)) @ torch.as_tensor(axes).to(x)


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything that turns a batch into coordinates. Small arrays only, so that it can be written beside a run."""

    token_mean: np.ndarray
    token_axes: np.ndarray
    """(d, r)"""
    patch_mean: np.ndarray
    patch_axes: np.ndarray
    """(p, r) of the patches that stand for the measured tokens, for R_pix."""
    pixel_mean: np.ndarray
    pixel_axes: np.ndarray
    """(p, r_x // P) of the P patches that make up X."""

    def encode(self, places: Places) -> dict[str, np.ndarray]:
        """Float32 coordinates of a batch: `tokens` (b, S, m, r), `patches` (b, m, r) and `pixels` (b, q).

        X keeps the leading coordinates of each patch, so that each of its coordinates has a place: components of the
        whole picture would mix the patches, and tokens that see one patch each would then look synergistic.
        """
        tokens = coordinates(places.tokens, self.token_mean, self.token_axes)[:, places.where]
        patches = coordinates(places.patches, self.patch_mean, self.patch_axes)
        pixels = coordinates(places.pixels, self.pixel_mean, self.pixel_axes).flatten(1)
        found = {"tokens": tokens, "patches": patches, "pixels": pixels}
        return {name: value.float().cpu().numpy() for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Places:
    """A batch, reduced to the places that are measured."""

    tokens: Tensor
    """(b, U, d) the tokens that any subset uses."""
    where: Tensor
    """(S, m) which of the U they are."""
    patches: Tensor
    """(b, m, p)"""
    pixels: Tensor
    """(b, P, p)"""

    @classmethod
    def of(cls, tokens_bNd: Tensor, chosen_Sm: np.ndarray, patches_bmp: Tensor, pixels_bPp: Tensor) -> Places:
        """Pick the chosen tokens out of all."""
        used, where = torch.as_tensor(chosen_Sm, device=tokens_bNd.device).unique(return_inverse=True)
        return cls(tokens_bNd[:, used], where, patches_bmp, pixels_bPp)


class BasisFit:
    """Fits a `Basis` on a stream of batches. Memory does not grow with the number of images."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._parts: list[Components] = []

    def update(self, places: Places) -> None:
        """Take in a batch. The tokens of the first subset are enough for the tokens' basis."""
        arrays = (places.tokens[:, places.where[0]], places.patches, places.pixels)
        if not self._parts:
            p = self._protocol
            share = max(1, p.r_x // places.pixels.shape[1])
            self._parts = [Components(rank, p.projection, p.seed) for rank in (p.r, p.r, share)]
        for part, array in zip(self._parts, arrays, strict=True):
            part.update(array)

    @property
    def empty(self) -> bool:
        """Has nothing come in yet?"""
        return not self._parts

    def basis(self) -> Basis:
        """The basis of what came in so far."""
        return Basis(*(array for part in self._parts for array in part.result()))
