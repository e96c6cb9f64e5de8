"""The numbers of tokens and of coordinates that can be measured with a given number of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.estimators.marginals import image_coordinates
from vtbench_redundancy.estimators.normal_scores import CONSTANT
from vtbench_redundancy.features.principal_components import oriented
from vtbench_redundancy.protocol import Protocol, few_images_flag

ROOM = 2.0
"""Images for each dimension of its covariances that `rs-v2` needs when one group is left out. With fewer, tokens have
fewer coordinates, on which RS depends less than on the bias of small samples."""
REDUCED_ROOM = 1.15
"""With fewer than this, X and the tokens are cut down too."""
PARTS_ROOM = 1.1
"""Enough for the parts of the images on which convergence is checked."""
LEAST_R = 2
"""Coordinates of a token are given up down to this number."""

SPANNED = 1e-6
"""Directions of unit-variance columns with less variance are not counted: at a floor of 0.01 they say 5e-5 nats."""

CROSSED_ROOM = 1.35
"""As `ROOM`, for `rs-v1`, whose cross-validation leaves out another group."""
CROSSED_REDUCED_ROOM = 2.0
"""With fewer images, `rs-v1` cuts tokens and pixels down until there are this many images for each dimension."""


def images_needed(width: int, protocol: Protocol, room: float | None = None) -> int:
    """Return the images needed for `room` images a dimension in the smallest set that an estimate is made on.

    >>> images_needed(64 * 4 + 192, Protocol())
    996
    """
    crossed = protocol.correction == "crossed"
    room = (CROSSED_ROOM if crossed else ROOM) if room is None else room
    g = protocol.groups
    return math.ceil(round(room * width * g / (g - 1 - crossed), 6))


@dataclass(frozen=True, slots=True)
class SampleBudget:
    """What is measured of each image.

    With few images a token's coordinates give way first (4, 2), then those of the image, whose leading principal
    components are then taken, and last the tokens: RS depends on m far more than on r. (`rs-v1` cuts the image first,
    to some coordinates of its cells, and then the tokens.)
    """

    coordinates: np.ndarray
    """(q,) indices of the image coordinates, or components, that make up X."""
    components: bool
    """Whether X is principal components of the image's coordinates."""
    r: int
    """Coordinates of a token, the leading ones."""
    images_needed: int
    """Images needed for all tokens and all coordinates."""
    flags: tuple[str, ...]
    affordable: float
    """Largest number of dimensions of a covariance."""
    protocol: Protocol

    @property
    def q(self) -> int:
        """Coordinates of the image."""
        return len(self.coordinates)

    @classmethod
    def fit(cls, pixels_nPc: np.ndarray, m: int, r: int, protocol: Protocol) -> SampleBudget:
        """Decide what these images are enough for; where they are few, columns that others determine do not count.

        Where columns (cells of one coordinate: cues or features) are linear combinations of others, X̃ has nothing but
        noise in some directions, and the components that X spans stand for all of it exactly. Cells of several
        coordinates are whitened each for itself, and count as they are.

        Args:
            pixels_nPc: coordinates of the images.
            m: tokens measured together.
            r: coordinates of a token.
            protocol: its settings.
        """
        n, cells, coordinates = pixels_nPc.shape
        found = cls.of(n, m, r, (cells, coordinates), protocol)
        if protocol.correction != "jackknife" or coordinates > 1 or "reduced" not in found.flags:
            return found
        rank = _rank(image_coordinates(torch.as_tensor(pixels_nPc).flatten(1), protocol.ranks))
        # as many images as columns have a full rank whatever the columns are
        return cls.of(n, m, r, (cells, 1), protocol, rank) if rank < min(cells, n - 1) else found

    @classmethod
    def of(
        cls, n: int, m: int, r: int, cells: Sequence[int], protocol: Protocol, rank: int | None = None
    ) -> SampleBudget:
        """Decide what n images are enough for.

        Args:
            n: images.
            m: tokens measured together.
            r: coordinates of a token.
            cells: P and c, the image's cells and the coordinates of each.
            protocol: its settings.
            rank: dimensions that the image's coordinates span, if fewer than there are.
        """
        every = math.prod(cells)
        q = every if rank is None else max(1, rank)
        needed = images_needed(m * r + q, protocol)
        flags = few_images_flag(n) + ("reduced",) * (n < needed)
        affordable = math.inf
        if n < needed:
            crossed = protocol.correction == "crossed"
            room = CROSSED_REDUCED_ROOM if crossed else REDUCED_ROOM
            affordable = n / images_needed(1000, protocol, room) * 1000
            if not crossed:
                while r > LEAST_R and images_needed(m * r + q, protocol) > n:
                    r = max(LEAST_R, r // 2)
            # under 60 images a third of the budget may leave less than the two tokens that a score needs
            least = max(1, min(affordable / (3 if crossed else 4), affordable - 2 * r))
            if crossed:
                while q > least:
                    q = math.ceil(q / 2)
            else:
                q = max(1, min(q, math.floor(max(affordable - m * r, least))))
        if protocol.correction != "crossed":
            return cls(np.arange(q), q < every, r, needed, flags, affordable, protocol)
        spread = np.random.default_rng(protocol.seed).permutation(cells[0])
        ranked = (spread * cells[1] + np.arange(cells[1])[:, None]).ravel()
        return cls(np.sort(ranked[:q]), False, r, needed, flags, affordable, protocol)

    def image(self, x_nPc: Tensor) -> Tensor:
        """Return X, (n, q), of all coordinates of the images.

        Principal components keep the scale of the unit-variance coordinates that they are made of.
        """
        x, ranks = x_nPc.flatten(1), self.protocol.ranks
        if not self.components:
            return image_coordinates(x[:, self.coordinates], ranks)
        x = image_coordinates(x, ranks)
        return x @ oriented(torch.linalg.eigh(x.T @ x / len(x)).eigenvectors.flip(1)[:, : self.q])

    def token_choices(self, m: int) -> list[np.ndarray]:
        """Choose among m tokens those measured together: all, or random choices that fit the budget.

        Returns:
            One choice for each estimate to be averaged; empty if not even two tokens fit.
        """
        fewer = min(m, max(0.0, self.affordable - self.q) // self.r)
        if fewer == m:
            return [np.arange(m)]
        if fewer < 2:
            return []
        fewer = int(fewer)
        generator = np.random.default_rng(self.protocol.seed)
        return [np.sort(generator.permutation(m)[:fewer]) for _ in range(self.protocol.subsets)]


def varying_axes(pixels_nPc: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Return the coordinates that vary in some cell: of grey images one of three. `rs-v1` takes all.

    >>> varying_axes(np.stack([np.eye(3), np.ones((3, 3))], axis=2), Protocol()).shape
    (3, 3, 1)
    """
    varies_c = (pixels_nPc.std(axis=0, dtype=np.float64) > CONSTANT).any(axis=0)
    return pixels_nPc[:, :, varies_c] if varies_c.any() and protocol.correction == "jackknife" else pixels_nPc


def _rank(x_nq: Tensor) -> int:
    """Return the directions of unit-variance columns that say something."""
    variances = torch.linalg.eigvalsh(x_nq.T @ x_nq / len(x_nq))
    return int((variances > SPANNED).sum())
