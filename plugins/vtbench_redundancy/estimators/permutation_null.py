"""X̃ = X + ε, the pixels at a stated resolution, and its permutations under the null of no information."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class NoisyPixels:
    """X̃ and its null, drawn several times. Rows are sorted by group."""

    noisy: Tensor
    """(B, n, q) X + ε, another ε for each draw."""
    shuffled: Tensor
    """(B or 0, n, q) the rows of `noisy` permuted against the tokens."""
    sizes: tuple[int, ...]
    """Images in each group."""


def noisy_pixels(
    x_nq: Tensor,
    sizes: tuple[int, ...],
    floor: float,
    permutations: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> NoisyPixels:
    """Draw X̃ = X + ε and a permutation of it, `permutations` times.

    The noise is drawn, not added to the covariance: then the sample covariance is Wishart, and the bias of its
    log-determinants does not depend on the truth, so a null can correct it.

    Args:
        x_nq: pixel coordinates of unit variance, rows sorted by group.
        sizes: images in each group, at least 2.
        floor: variance of ε.
        permutations: draws; 0 means one draw and no null.
        seed: of the noise and the permutations.
        clusters: (n,) number of each image's cluster, the members of one next to each other; by default each its own.
    """
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device
    names = np.arange(len(x_nq)) if clusters is None else np.asarray(clusters)
    noisy, shuffled = [], []
    for _ in range(max(permutations, 1)):
        noise = torch.randn(x_nq.shape, generator=generator, dtype=torch.float64).to(x_nq.device)
        noisy.append(x_nq + math.sqrt(floor) * noise)
        if permutations:
            shuffled.append(noisy[-1][permuted_images(names, sizes, generator).to(x_nq.device)])
    return NoisyPixels(torch.stack(noisy), torch.stack(shuffled) if shuffled else x_nq.new_empty(0, *x_nq.shape), sizes)


def permuted_images(clusters: np.ndarray, sizes: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return the index of the image whose pixels each image gets under the null, (n,).

    Clusters are exchanged as a whole with others of their size: two images of one scene are nearly one observation,
    and a null that separated them would look like twice as many images, and underestimate the bias. Clusters that are
    the only ones of their size are laid end to end in random order, and the whole is turned by half its length, so
    that runs of images of one cluster get runs of another's. Permutations stay within a group, so that they leave the
    sums over a group unchanged.

    >>> permuted_images(np.array([0, 0, 1, 1]), [4], torch.Generator()).tolist()
    [2, 3, 0, 1]
    """
    partner, start = torch.empty(len(clusters), dtype=torch.long), 0
    for size in sizes:
        alike, unlike = _by_size(clusters[start : start + size])
        for blocks in alike:
            cycle = torch.as_tensor(start + blocks)[torch.randperm(len(blocks), generator=generator)]
            partner[cycle] = cycle.roll(1, dims=0)
        if unlike:
            order = torch.randperm(len(unlike), generator=generator).tolist()
            laid = torch.as_tensor(start + np.concatenate([unlike[number] for number in order]))
            partner[laid] = laid.roll(len(laid) // 2)
        start += size
    return partner


def _by_size(clusters: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the rows of clusters that others are as large as, (clusters, members) for each size, and of the rest.

    There are at least two clusters for each size, and none or at least two in the rest, but where all are one.
    """
    members = np.split(np.arange(len(clusters)), np.flatnonzero(np.diff(clusters)) + 1)
    by_size: dict[int, list[np.ndarray]] = {}
    for rows in members:
        by_size.setdefault(len(rows), []).append(rows)
    alone = [size for size, found in by_size.items() if len(found) == 1]
    odd = [by_size.pop(size)[0] for size in alone]
    if len(odd) == 1 and by_size:  # it cannot be exchanged with itself: take another one, too
        size = min(by_size)
        odd += [by_size[size].pop()] if len(by_size[size]) > 2 else by_size.pop(size)
    return [np.stack(found) for found in by_size.values()], odd
