"""The numbers of tokens and of pixel coordinates that can be measured with a given number of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vtbench_redundancy.protocol import IMAGES_PER_DIMENSION, REDUCED_IMAGES_PER_DIMENSION, Protocol, few_images_flag


def images_needed(width: int, protocol: Protocol, per_dimension: float = IMAGES_PER_DIMENSION) -> int:
    """Return the images needed for `per_dimension` images a dimension, with one group predicted and one left out.

    >>> images_needed(64 * 8 + 128, Protocol())
    1080
    """
    g = protocol.groups
    return math.ceil(round(per_dimension * width * g / (g - 2), 6))


@dataclass(frozen=True, slots=True)
class SampleBudget:
    """What is measured of each image. With few images, X is reduced first, and then the tokens."""

    coordinates: np.ndarray
    """(q,) indices of the image coordinates that make up X."""
    images_needed: int
    """Images needed for all tokens and all coordinates of the image."""
    flags: tuple[str, ...]
    affordable: float
    """Largest number of dimensions of a covariance."""
    protocol: Protocol

    @property
    def q(self) -> int:
        """Coordinates of the image."""
        return len(self.coordinates)

    @classmethod
    def of(cls, n: int, width: int, cells: Sequence[int], protocol: Protocol) -> SampleBudget:
        """Take all of X if n images are enough for X and the tokens; else halve X until it fits a third of the budget.

        The leading coordinates of all cells come first, and then cells spread over the image.

        Args:
            n: images.
            width: coordinates of all tokens together.
            cells: P and c, the image's cells and the coordinates of each.
            protocol: its settings.
        """
        q = math.prod(cells)
        needed = images_needed(width + q, protocol)
        affordable = math.inf
        if n < needed:
            affordable = n / images_needed(1000, protocol, REDUCED_IMAGES_PER_DIMENSION) * 1000
            # under 60 images a third of the budget may leave less than the two tokens that a score needs
            while q > max(1, min(affordable / 3, affordable - 2 * protocol.r)):
                q = math.ceil(q / 2)
        spread = np.random.default_rng(protocol.seed).permutation(cells[0])
        ranked = (spread * cells[1] + np.arange(cells[1])[:, None]).ravel()
        flags = few_images_flag(n) + ("reduced",) * (n < needed)
        return cls(np.sort(ranked[:q]), needed, flags, affordable, protocol)

    def token_choices(self, m: int, r: int) -> list[np.ndarray]:
        """Choose among m tokens of r coordinates those measured together: all, or random choices that fit the budget.

        Returns:
            One choice for each estimate to be averaged; empty if not even two tokens fit.
        """
        fewer = min(m, max(0.0, self.affordable - self.q) // r)
        if fewer == m:
            return [np.arange(m)]
        if fewer < 2:
            return []
        fewer = int(fewer)
        generator = np.random.default_rng(self.protocol.seed)
        return [np.sort(generator.permutation(m)[:fewer]) for _ in range(self.protocol.subsets)]
