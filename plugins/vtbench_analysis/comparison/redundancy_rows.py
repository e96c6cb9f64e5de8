"""Rows for the Redundancy Score: `rs`, `n_eff_16`, `discarded` and `cue_information` of runs on the same images.

All runs of one protocol are measured against the same X̃, made of the first run's pixel coordinates, with the same
groups of images and the same draws of the null. What the images and the draws contribute to a score then cancels in the
difference. Two protocols, or one with other settings, are not compared. Runs of `rs-v1` have `r_pix` in place of
`n_eff_16`; its ΔRS and N_eff follow from RS and R_pix at one m, and are not tested again. Cue information needs the
cues of every run: without them (no scenes, or a run of before it was measured) there is no such row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from vtbench_analysis.comparison.cue_rows import cue_rows
from vtbench_analysis.comparison.jackknife_replicates import JackknifeReplicates, comparable_difference, value_of
from vtbench_analysis.comparison.score_rows import ScoreRow
from vtbench_analysis.comparison.shared_samples import SharedSamples
from vtbench_redundancy.metrics.stacked_observations import stacked, target_of, unique_rows
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol, named_protocol
from vtbench_redundancy.scores.estimates import Estimates, ReferenceImages
from vtbench_redundancy.scores.redundancy_score import of_few_tokens

Arrays = dict[str, np.ndarray]
_TOKENS = "tokens/"


def token_replicates(
    tokens: np.ndarray, images: ReferenceImages, cells: np.ndarray | None = None
) -> JackknifeReplicates:
    """Return the replicates of `rs`, `n_eff_16` and `discarded`, each where the protocol and the tokens give it.

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets.
        images: the images that the tokens are measured against.
        cells: (n, m, r) coordinates of the averages by cell, of images with more than m tokens.
    """
    v2 = images.protocol.correction == "jackknife"
    found = images.estimates(tokens, "constant_tokens", curve=v2)
    if isinstance(found, str):
        return JackknifeReplicates({}, (found,))
    pixels = images.upper_bound
    values = {} if found.low else {"rs": found.rs}
    few = of_few_tokens(found) if v2 and not found.low else None
    values |= {} if few is None else {"n_eff_16": few}
    of_all: Estimates | str = found
    if v2 and (tokens.shape[1] > 1 or found.m < tokens.shape[2]):
        of_all = "subset" if cells is None or found.m < tokens.shape[2] else images.estimates(cells[:, None], "subset")
    values |= {} if pixels.low or isinstance(of_all, str) else {"discarded": 1 - of_all.joint / pixels.joint}
    return JackknifeReplicates(values, images.flags + ("low_information",) * found.low)


def patch_replicates(patches: np.ndarray, images: ReferenceImages) -> JackknifeReplicates:
    """Return the replicates of `r_pix`.

    Args:
        patches: (n, m, r) coordinates of the images' own patches.
        images: the images that the patches are measured against.
    """
    found = images.estimates(patches[:, None], "constant_images")
    if isinstance(found, str):
        return JackknifeReplicates({}, (found,))
    return JackknifeReplicates({} if found.low else {"r_pix": found.rs}, images.flags)


def redundancy_rows(shared: SharedSamples, metric: str, protocols: Sequence[Protocol]) -> list[ScoreRow]:
    """Compare the scores of `redundancy`, or those of `redundancy_layers` at every layer that all runs have.

    Args:
        shared: the samples that all runs have.
        metric: name of the metric, with its settings.
        protocols: each run's own. Runs with another protocol than the first are measured by it, but not compared.
    """
    once = [[r for r in records if not r.repeat] for records in shared.observed(metric).records]
    observations = [[r.scores[metric] for r in records] for records in once]
    scored = unique_rows(once[0], observations)
    if not scored:
        return []
    found = [stacked(records, of_run, scored) for records, of_run in zip(once, observations, strict=True)]
    each, clusters = [arrays for arrays, _ in found], found[0][1]
    layers = [name for name in each[0] if name.startswith(_TOKENS) and all(name in arrays for arrays in each)]
    if metric.partition(":")[0] == "redundancy":
        return [
            *_layer_rows(metric, "", each, layers[0], clusters, protocols),
            *cue_rows(metric, each, layers[0].removeprefix(_TOKENS), clusters, protocols),
        ]
    suffixes = {layer: f"_{layer.removeprefix(_TOKENS)}" for layer in layers}
    return [row for layer in layers for row in _layer_rows(metric, suffixes[layer], each, layer, clusters, protocols)]


def stored_protocol(scores: Mapping[str, Mapping[str, Any]], metric: str) -> Protocol:
    """Return the protocol of a run's stored scores; runs of before `rs-v2` had `rs-v1`.

    Args:
        scores: the task's scores as results.json has them.
        metric: name of the metric, with its settings.
    """
    for score in scores.values():
        detail = score.get("detail", {})
        if score.get("metric") == metric and "protocol" in detail:
            return named_protocol(detail["protocol"], detail.get("seed", 0))
    return Protocol()


def _layer_rows(
    metric: str,
    suffix: str,
    each: Sequence[Arrays],
    layer: str,
    clusters: Sequence[str],
    protocols: Sequence[Protocol],
) -> list[ScoreRow]:
    first, images = each[0], dict[tuple[object, ...], ReferenceImages | str]()
    others = [0 if _same_target(arrays, first) else i for i, arrays in enumerate(each)]
    keys = [(p, *arrays[layer].shape[2:], other) for p, arrays, other in zip(protocols, each, others, strict=True)]
    for key, arrays, protocol in zip(keys, each, protocols, strict=True):
        if key not in images:
            pixels = target_of(first if protocol == protocols[0] and not key[-1] else arrays)
            m, r = arrays[layer].shape[2:]
            enough = len(clusters) >= MIN_IMAGES
            images[key] = ReferenceImages(pixels, m, r, clusters, protocol, parts=False) if enough else "few_images"
    cells = [arrays.get(layer.replace(_TOKENS, "cells/")) for arrays in each]
    tokens = [
        _measure(partial(token_replicates, cells=of_cells), arrays[layer], images[key])
        for arrays, of_cells, key in zip(each, cells, keys, strict=True)
    ]
    replicates = {"rs": tokens, "discarded": tokens}
    if not suffix and all(p.correction == "crossed" and p.target == "pixels" for p in protocols):
        of_first = _measure(patch_replicates, first["patches"], images[keys[0]])
        patches = [
            of_first
            if _equal_patches(arrays, first) and key[0] == keys[0][0]
            else _measure(patch_replicates, arrays["patches"], images[key])
            for arrays, key in zip(each, keys, strict=True)
        ]
        replicates = {"rs": tokens, "r_pix": patches, "discarded": tokens}
    elif not suffix:
        replicates = {"rs": tokens, "n_eff_16": tokens, "discarded": tokens}
    # scores of m tokens compare at one m only; those of rs-v2 on 16 tokens or on all of them do not depend on it
    of_one_m = {"rs"} if protocols[0].correction == "jackknife" else set(replicates)
    rows = []
    for name, of_runs in replicates.items():
        values = tuple(value_of(of_run, name, p) for of_run, p in zip(of_runs, protocols, strict=True))
        differences = tuple(
            comparable_difference(
                of_runs[0], other, name, protocols[0],
                one_protocol=protocols[i] == protocols[0] and not others[i],
                one_m=name not in of_one_m or each[i][layer].shape[2] == first[layer].shape[2],
            )
            for i, other in enumerate(of_runs[1:], start=1)
        )  # fmt: skip
        rows.append(ScoreRow(metric, name + suffix, values, differences, len(clusters), percent=False))
    return rows


def _same_target(arrays: Arrays, first: Arrays) -> bool:
    """Whether the tokens of both are about the same: features of two files may differ under one name."""
    return np.array_equal(arrays.get("target", np.empty(0)), first.get("target", np.empty(0)), equal_nan=True)


def _equal_patches(arrays: Arrays, first: Arrays) -> bool:
    """Whether the patches are the same up to rounding."""
    own, its = arrays["patches"], first["patches"]
    return own.shape == its.shape and np.allclose(own, its, rtol=1e-3, atol=1e-3)


def _measure(
    measure: Callable[[np.ndarray, ReferenceImages], JackknifeReplicates],
    array: np.ndarray,
    images: ReferenceImages | str,
) -> JackknifeReplicates:
    return JackknifeReplicates({}, (images,)) if isinstance(images, str) else measure(array, images)
