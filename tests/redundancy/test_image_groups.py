"""Who is in which group, and who takes whose place under the null: images of one scene are never parted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.stats import jackknife_stderr
from vtbench_redundancy.estimators.image_groups import assign_groups, group_means, jackknife_subsets
from vtbench_redundancy.estimators.permutation_null import noisy_pixels, permuted_images

torch.set_num_threads(1)

SIZES = st.lists(st.integers(1, 4), min_size=40, max_size=120)


def names(sizes: list[int]) -> list[str]:
    """Cluster names of images that lie in any order."""
    of_each = np.repeat([f"scene {i}" for i in range(len(sizes))], sizes)
    return np.random.default_rng(0).permutation(of_each).tolist()


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_no_cluster_is_in_two_groups(sizes: list[int], seed: int) -> None:
    clusters = names(sizes)
    groups = assign_groups(len(clusters), clusters, 10, seed)
    assert sorted(groups.order.tolist()) == list(range(len(clusters)))
    assert groups.flags == ()
    parts = np.split(groups.order, np.cumsum(groups.sizes)[:-1])
    assert [len(part) for part in parts] == list(groups.sizes)
    assert max(groups.sizes) - min(groups.sizes) <= 2 * max(sizes)
    of_group = [{clusters[i] for i in part} for part in parts]
    assert sum(map(len, of_group)) == len(set(clusters))
    runs = 1 + np.count_nonzero(np.diff(groups.clusters))
    assert runs == len(set(clusters))  # the members of a cluster lie next to each other


@given(n=st.integers(20, 400))
def test_without_clusters_the_groups_are_as_equal_as_they_can_be(n: int) -> None:
    groups = assign_groups(n, None, 10, 0)
    assert max(groups.sizes) - min(groups.sizes) <= 1
    assert len(np.unique(groups.clusters)) == n


@pytest.mark.parametrize("clusters", [["one"] * 600, ["one"] * 300 + [str(i) for i in range(300)]])
def test_too_few_clusters_are_flagged(clusters: list[str]) -> None:
    groups = assign_groups(600, clusters, 10, 0)
    assert groups.flags == ("few_clusters",)
    assert set(groups.sizes) == {60}


def test_the_deal_depends_on_the_seed_only() -> None:
    clusters = names([2] * 100)
    assert assign_groups(200, clusters, 10, 3).order.tolist() == assign_groups(200, clusters, 10, 3).order.tolist()
    assert assign_groups(200, clusters, 10, 3).order.tolist() != assign_groups(200, clusters, 10, 4).order.tolist()


def test_subsets_leave_one_group_out_and_halve_where_there_is_room() -> None:
    rows = jackknife_subsets((5, 6, 5, 6), 11)
    assert rows.tolist() == [
        [1, 1, 1, 1],
        *([0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]),
        *([1, 1, 0, 0], [0, 0, 1, 1]),
    ]
    assert len(jackknife_subsets((5, 6, 5, 6), 12)) == 5


def test_means_of_subsets() -> None:
    values = np.random.default_rng(0).standard_normal((47, 3))
    groups = assign_groups(47, None, 4, 0)
    keep = jackknife_subsets(groups.sizes, 0)
    member = np.repeat(np.arange(4), groups.sizes)
    for row, found in zip(keep.numpy(), group_means(values, groups, keep).numpy(), strict=True):
        assert found == pytest.approx(values[groups.order][row[member] > 0].mean(axis=0))


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """The textbook one, s / √n, where each image is a group."""
    values = np.random.default_rng(0).standard_normal((200, 1))
    groups = assign_groups(200, None, 200, 0)
    means_T = group_means(values, groups, jackknife_subsets(groups.sizes, np.inf))[:, 0]
    assert jackknife_stderr(means_T[1:201].tolist()) == pytest.approx(values.std(ddof=1) / 200**0.5)


GROUPS = st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=12), min_size=1, max_size=4)
"""Sizes of the clusters in each group."""


def drawn(of_groups: list[list[int]], seed: int) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Clusters, sizes of groups, and partners under the null."""
    flat = [size for group in of_groups for size in group]
    clusters, sizes = np.repeat(np.arange(len(flat)), flat), [sum(group) for group in of_groups]
    return clusters, sizes, permuted_images(clusters, sizes, torch.Generator().manual_seed(seed)).numpy()


def parted(clusters: np.ndarray, partner: np.ndarray) -> int:
    """How many clusters of several images do not take the place of one other cluster of their size, in its order."""
    members = np.split(np.arange(len(clusters)), np.flatnonzero(np.diff(clusters)) + 1)
    whole = {tuple(rows) for rows in members}
    return sum(tuple(partner[rows]) not in whole for rows in members if len(rows) > 1)


@settings(max_examples=100, deadline=None)
@given(of_groups=GROUPS, seed=st.integers(0, 99))
def test_the_null_is_a_permutation_within_groups_that_leaves_no_image_its_own_pixels(of_groups, seed: int) -> None:
    clusters, sizes, partner = drawn(of_groups, seed)
    assert not (partner == np.arange(len(partner))).any()
    for rows in np.split(np.arange(len(clusters)), np.cumsum(sizes)[:-1]):
        assert sorted(partner[rows].tolist()) == rows.tolist()


@settings(max_examples=100, deadline=None)
@given(of_groups=GROUPS, seed=st.integers(0, 99))
def test_clusters_change_places_as_a_whole(of_groups, seed: int) -> None:
    """Here every size is there twice, at least."""
    clusters, _, partner = drawn([group + group for group in of_groups], seed)
    assert parted(clusters, partner) == 0


@settings(max_examples=100, deadline=None)
@given(of_groups=GROUPS, seed=st.integers(0, 99))
def test_few_clusters_are_parted_for_the_odd_ones(of_groups, seed: int) -> None:
    """Those alone of their size in a group, and one or two more where there would be just one such."""
    clusters, _, partner = drawn(of_groups, seed)
    alone = sum(list(Counter(group).values()).count(1) for group in of_groups)
    assert parted(clusters, partner) <= alone + 2 * len(of_groups)


def test_one_odd_image_leaves_the_pairs_together() -> None:
    clusters, _, partner = drawn([[2] * 20 + [1]], 0)
    assert len(clusters) == 41
    assert parted(clusters, partner) <= 2


@pytest.mark.parametrize("clustered", [False, True])
def test_the_null_keeps_the_sums_over_each_group(clustered: bool) -> None:
    """What lets the estimator compute them once; the noise differs between draws, but not within one."""
    x = torch.randn(60, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    clusters = np.repeat(np.arange(30), 2) if clustered else None
    found = noisy_pixels(x, (20, 24, 16), floor=0.01, permutations=3, seed=0, clusters=clusters)
    assert found.noisy.shape == found.shuffled.shape == (3, 60, 3)
    for noisy, shuffled in zip(found.noisy, found.shuffled, strict=True):
        for a, b in zip(noisy.split(found.sizes), shuffled.split(found.sizes), strict=True):
            assert torch.allclose(a.T @ a, b.T @ b)
            assert not torch.equal(a, b)
    noise = found.noisy - x
    assert float(noise.std()) == pytest.approx(0.1, rel=0.1)
    assert abs(float(torch.corrcoef(noise.flatten(1))[0, 1])) < 0.3


def test_without_a_null_there_is_one_draw() -> None:
    found = noisy_pixels(torch.ones(20, 2, dtype=torch.float64), (10, 10), floor=0.01, permutations=0, seed=0)
    assert (found.noisy.shape, found.shuffled.shape) == ((1, 20, 2), (0, 20, 2))


def test_clusters_of_unequal_sizes_are_not_taken_apart_under_the_null() -> None:
    """Runs of one scene's images take the place of another's, so that the null knows how few scenes there are."""
    sizes = np.random.default_rng(0).permutation(np.arange(10, 40))
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    partner = permuted_images(clusters, [len(clusters)], torch.Generator().manual_seed(0)).numpy()
    assert sorted(partner.tolist()) == list(range(len(clusters)))
    assert (clusters[partner] != clusters).all()
    kept = (np.diff(clusters) == 0) & (np.diff(clusters[partner]) == 0)
    assert kept.mean() > 0.85  # neighbours of one scene have partners of one scene


def test_blank_names_are_images_of_their_own() -> None:
    clusters = [""] * 100 + ["film"] * 10
    groups = assign_groups(110, clusters, 10, 0)
    assert groups.flags == ()
    assert len(np.unique(groups.clusters)) == 101
