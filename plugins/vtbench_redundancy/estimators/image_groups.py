"""Groups of images for the jackknife and for cross-validation, with the images of one scene in one group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vtbench.stats import sorted_cluster_numbers


@dataclass(frozen=True, slots=True)
class Groups:
    """A partition of the images; no cluster is in two groups."""

    order: np.ndarray
    """(n,) images sorted by group, the members of a cluster next to each other."""
    sizes: tuple[int, ...]
    """Images in each group."""
    clusters: np.ndarray
    """(n,) number of each sorted image's cluster."""
    flags: tuple[str, ...] = ()


def assign_groups(n: int, clusters: Sequence[str] | None, groups: int, seed: int) -> Groups:
    """Partition the images, shuffled by cluster, into groups of nearly equal size.

    With too few clusters for that, single images are assigned, flagged `few_clusters`.
    """
    names = np.arange(n) if clusters is None else sorted_cluster_numbers(clusters)
    place = np.random.default_rng(seed).permutation(names.max() + 1)[names]
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], place[order])  # where an image's cluster begins
    sizes = np.bincount(first * groups // n, minlength=groups)
    if clusters is not None and (sizes.min() < 2 or sizes.max() > 2 * n / groups):
        return replace(assign_groups(n, None, groups, seed), flags=("few_clusters",))
    return Groups(order, tuple(sizes.tolist()), place[order])


def jackknife_subsets(sizes: Sequence[int], needed: float) -> Tensor:
    """Return the groups that each estimate uses, as rows of 0 and 1, (T, groups).

    They are: all groups; all but one, for each; and two halves, where each half has `needed` images.
    """
    groups, half = len(sizes), len(sizes) // 2
    rows = [torch.ones(1, groups), 1 - torch.eye(groups)]
    first = (torch.arange(groups) < half).double()
    if min(sum(sizes[:half]), sum(sizes[half:])) >= needed:
        rows.append(torch.stack([first, 1 - first]))
    return torch.cat(rows).double()


def group_means(values_nk: np.ndarray, groups: Groups, keep_TG: Tensor) -> Tensor:
    """Return the mean over images of each of k numbers, for each subset of the groups: (T, k) float64."""
    starts = np.cumsum([0, *groups.sizes[:-1]])
    sums_Gk = np.add.reduceat(values_nk[groups.order].astype(np.float64), starts, axis=0)
    keep = keep_TG.cpu().double()
    return keep @ torch.as_tensor(sums_Gk) / (keep @ torch.tensor(groups.sizes, dtype=torch.float64))[:, None]
