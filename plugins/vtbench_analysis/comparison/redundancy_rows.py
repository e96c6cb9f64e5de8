"""Rows for the Redundancy Score: `rs`, `r_pix` and `discarded` of several runs on the same images.

All runs are measured against the same X̃, made of the first run's pixel coordinates, with the same groups of images and
the same draws of the null. What the images and the draws contribute to a score then cancels in the difference. ΔRS and
N_eff follow from RS and R_pix at one m, and are not tested again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from vtbench.stats import Estimate, jackknife, t_test
from vtbench_analysis.comparison.score_rows import ScoreRow
from vtbench_analysis.comparison.shared_samples import SharedSamples
from vtbench_redundancy.metrics.visual_metric import unique_images
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.scores.estimates import ReferenceImages

Arrays = dict[str, np.ndarray]
_TOKENS = "tokens/"


@dataclass(frozen=True, slots=True)
class JackknifeReplicates:
    """Scores of one run's tokens or patches, over all images and with each group of images left out in turn."""

    values: Mapping[str, Tensor]
    """(1 + groups,) by score; over all images first."""
    flags: tuple[str, ...] = ()
    """Why there are no values, or what limits them."""


def token_replicates(tokens: np.ndarray, images: ReferenceImages) -> JackknifeReplicates:
    """Return the replicates of `rs` and `discarded`.

    Args:
        tokens: (n, S, m, r) coordinates of the m tokens in each of S subsets.
        images: the images that the tokens are measured against.
    """
    found = images.estimates(tokens, "constant_tokens")
    if isinstance(found, str):
        return JackknifeReplicates({}, (found,))
    pixels = images.upper_bound
    values = {} if found.low else {"rs": found.rs}
    values |= {} if pixels.low else {"discarded": 1 - found.joint / pixels.joint}
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


def redundancy_rows(shared: SharedSamples, metric: str) -> list[ScoreRow]:
    """Compare the scores of `redundancy`, or those of `redundancy_layers` at every layer that all runs have."""
    once = [[r for r in records if not r.repeat] for records in shared.observed(metric).records]
    if not once[0]:
        return []
    found = [unique_images(records, [r.scores[metric] for r in records]) for records in once]
    each, clusters = [arrays for arrays, _ in found], found[0][1]
    layers = [name for name in each[0] if name.startswith(_TOKENS) and all(name in arrays for arrays in each)]
    if metric == "redundancy":
        return _layer_rows(metric, "", each, layers[0], clusters)
    suffixes = {layer: f"_{layer.removeprefix(_TOKENS)}" for layer in layers}
    return [row for layer in layers for row in _layer_rows(metric, suffixes[layer], each, layer, clusters)]


def _layer_rows(
    metric: str, suffix: str, each: Sequence[Arrays], layer: str, clusters: Sequence[str]
) -> list[ScoreRow]:
    protocol, first = Protocol(), each[0]
    images: dict[tuple[int, ...], ReferenceImages | str] = {}
    for arrays in each:
        m, r = size = arrays[layer].shape[2:]
        if size not in images:
            enough = len(clusters) >= MIN_IMAGES
            images[size] = (
                ReferenceImages(first["pixels"], m * r, clusters, protocol, halves=False) if enough else "few_images"
            )
    tokens = [_measure(token_replicates, arrays[layer], images[arrays[layer].shape[2:]]) for arrays in each]
    replicates = {"rs": tokens, "discarded": tokens}
    if not suffix:
        of_first = _measure(patch_replicates, first["patches"], images[first[layer].shape[2:]])
        patches = [
            of_first
            if _equal_patches(arrays, first)
            else _measure(patch_replicates, arrays["patches"], images[arrays[layer].shape[2:]])
            for arrays in each
        ]
        replicates = {"rs": tokens, "r_pix": patches, "discarded": tokens}
    rows = []
    for name, of_runs in replicates.items():
        values = tuple(_value(of_run, name, protocol) for of_run in of_runs)
        differences = tuple(
            _difference(of_runs[0], other, name, protocol)
            if arrays[layer].shape[2:] == first[layer].shape[2:]
            else Estimate(None, flags=("other_m",))  # scores compare at one m only
            for arrays, other in zip(each[1:], of_runs[1:], strict=True)
        )
        rows.append(ScoreRow(metric, name + suffix, values, differences, len(clusters), percent=False))
    return rows


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


def _value(replicates: JackknifeReplicates, name: str, protocol: Protocol) -> Estimate:
    if name not in replicates.values:
        return Estimate(None, flags=replicates.flags)
    return replace(_estimate(replicates.values[name], protocol), flags=replicates.flags)


def _difference(first: JackknifeReplicates, other: JackknifeReplicates, name: str, protocol: Protocol) -> Estimate:
    if name not in first.values or name not in other.values:
        return Estimate(None, flags=tuple(dict.fromkeys(first.flags + other.flags)))
    return t_test(_estimate(other.values[name] - first.values[name], protocol))


def _estimate(values_T: Tensor, protocol: Protocol) -> Estimate:
    value, *replicates = values_T[: protocol.groups + 1].tolist()
    return jackknife(value, replicates, widen=protocol.widen)
