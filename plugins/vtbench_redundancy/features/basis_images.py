"""Which images of an array the basis is fitted on, and which are scored: no image, and no cluster, is in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vtbench.stats import cluster_numbers
from vtbench_redundancy.protocol import MIN_IMAGES

LEAST_BASIS = 20
"""Fewer images fit no basis: then all are scored, in principal components."""


def scored_images(n: int, clusters: Sequence[str] | None, most: int) -> np.ndarray:
    """Return which of n images are scored, (n,) bool: all but a third, on which the basis is fitted.

    The basis takes whole clusters in the order in which they appear, until it has a third of the images or `most`; a
    cluster that would leave too few to be scored is passed over. None are taken where there are too few images.

    >>> scored_images(300, None, 1000).sum(), scored_images(60, None, 1000).sum()
    (np.int64(200), np.int64(60))
    >>> np.flatnonzero(~scored_images(300, ["a", "b", "c", "d"] * 75, 1000))[:5].tolist()
    [0, 1, 4, 5, 8]
    """
    taken = min(most, n // 3, n - MIN_IMAGES)
    if taken < LEAST_BASIS:
        return np.ones(n, dtype=bool)
    if clusters is None:
        return np.arange(n) >= taken
    number_n, count = cluster_numbers(clusters)
    sizes = np.bincount(number_n, minlength=count).tolist()
    room, chosen, held = n - max(MIN_IMAGES, n // 2), [], 0
    for number, size in enumerate(sizes):
        if held < taken and held + size <= room:
            chosen.append(number)
            held += size
    if held < LEAST_BASIS:  # a few clusters hold nearly all images: scores are flagged `few_clusters`
        return np.arange(n) >= taken
    return ~np.isin(number_n, chosen)


def join_equal_images(clusters: Sequence[str] | None, marks: Sequence[int]) -> Sequence[str] | None:
    """Return the clusters with equal images in one, and `clusters` itself where that changes nothing.

    Args:
        clusters: n names; by default each image is its own cluster.
        marks: of each image; equal images have one mark.

    >>> join_equal_images(None, [7, 8, 7])
    ['0', '1', '0']
    >>> join_equal_images(["a", "b", "b", "c"], [7, 8, 9, 7])
    ['0', '1', '1', '0']
    """
    n = len(marks)
    number_n, count = (np.arange(n), n) if clusters is None else cluster_numbers(clusters)
    mark_n, different = cluster_numbers(list(map(str, marks)))
    edges = coo_array((np.ones(n), (number_n, count + mark_n)), shape=(count + different,) * 2)
    parts, part_of = connected_components(edges, directed=False)  # of clusters, by the images that they share
    if parts == count or different == 1:  # all images equal: `constant_images` says so
        return clusters
    return [str(part) for part in part_of[number_n]]
