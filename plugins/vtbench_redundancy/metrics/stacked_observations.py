"""Observations of a coordinate metric as arrays over the images that are scored, and the scores made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from vtbench.types import Observation, Record, Score
from vtbench_redundancy.features.scene_cues import varying_or_one
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.cue_information import cue_information
from vtbench_redundancy.scores.redundancy_score import Redundancy, score_coordinates

Arrays = dict[str, np.ndarray]
BASIS = "basis"
"""The only entry of the observation of a sample that the basis was fitted on, and that is therefore not scored."""


def unique_images(
    records: Sequence[Record], observations: Sequence[Observation]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Stack the observations of distinct images, and return their clusters. Questions about one image count once.

    Left out are images that the basis was fitted on, with the others of their clusters.
    """
    return stacked(records, observations, unique_rows(records, [observations]))


def stacked(
    records: Sequence[Record], observations: Sequence[Observation], rows: Sequence[int]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Stack the observations of some rows, and return the clusters of these."""
    names = list(observations[rows[0]]) if rows else []
    arrays = {name: np.stack([observations[i][name] for i in rows]) for name in names}
    return arrays, [records[i].cluster or records[i].id for i in rows]


def unique_rows(records: Sequence[Record], runs: Sequence[Sequence[Observation]]) -> list[int]:
    """Return the first record of each image on which none of some runs fitted its basis, nor on one of its cluster.

    Args:
        records: of the samples.
        runs: what each run observed of them.
    """
    fitted = [any(BASIS in observation for observation in of_sample) for of_sample in zip(*runs, strict=True)]
    in_basis: set[object] = set()
    for record, is_fitted in zip(records, fitted, strict=True):
        if is_fitted:
            in_basis |= {record.image_sha256, record.cluster} - {(), ""}
    seen: dict[object, int] = {}
    for i, record in enumerate(records):
        if not fitted[i] and not in_basis & {record.image_sha256, record.cluster}:
            seen.setdefault(record.image_sha256 or i, i)
    return list(seen.values())


def compute_device() -> torch.device:
    """Return the device that scores are computed on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def target_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what the tokens are about: pixels, (n, P, c), or what varies of another target, (n, q, 1)."""
    return varying_or_one(arrays["target"])[:, :, None] if "target" in arrays else arrays["pixels"]


def cues_of(arrays: Mapping[str, np.ndarray], layer: str, protocol: Protocol) -> tuple[np.ndarray, ...] | None:
    """Return a layer's coordinates that say most about the cues, and the cues; None where there are no cues.

    Returns:
        (n, S, m, r) tokens, (n, c) cues and, of layers with more tokens than are measured, (n, m, r) averages by cell.
    """
    cues = arrays.get("target" if protocol.target == "cues" else "cues")
    if cues is None:
        return None
    tokens, cells = (arrays.get(f"cue_{kind}/{layer}", arrays.get(f"{kind}/{layer}")) for kind in ("tokens", "cells"))
    assert tokens is not None
    return (tokens, cues) if cells is None else (tokens, cues, cells)


def redundancy_of(
    arrays: Mapping[str, np.ndarray],
    layer: str,
    protocol: Protocol,
    clusters: Sequence[str],
    facts: Mapping[str, object],
    with_patches: bool = False,
) -> Redundancy:
    """Return a layer's scores of redundancy; R_pix only with patches and a target of pixels."""
    patches = arrays["patches"] if with_patches and "target" not in arrays else None
    return score_coordinates(
        arrays[f"tokens/{layer}"], patches, target_of(arrays), protocol, clusters, facts, compute_device(),
        arrays.get(f"cells/{layer}"),
    )  # fmt: skip


def cue_score_of(
    arrays: Mapping[str, np.ndarray],
    layer: str,
    protocol: Protocol,
    clusters: Sequence[str],
    facts: Mapping[str, object],
    properties: Mapping[str, Sequence[int]] | None = None,
) -> Score | None:
    """Return a layer's cue information; None where there are no cues."""
    found = cues_of(arrays, layer, protocol)
    if found is None:
        return None
    tokens, cues, *cells = found
    return cue_information(
        tokens, cues, protocol, clusters, facts, compute_device(), cells[0] if cells else None, arrays.get("pixels"),
        properties,
    )  # fmt: skip
