"""Features of arrays: coordinates, token norms and token geometry of each image.

Arrays are numpy arrays, memory-mapped ones, or `Rows` of a file. They are read once in slices (those of the basis
twice, and all again where images are equal) and never held whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.estimators.normal_scores import normal_scores
from vtbench_redundancy.features.basis_images import join_equal_images, scored_images
from vtbench_redundancy.features.feature_encoder import EncoderFit
from vtbench_redundancy.features.feature_target import target_coordinates
from vtbench_redundancy.features.patch_layout import choose_layout
from vtbench_redundancy.features.patch_source import PatchCutter, pixel_axes
from vtbench_redundancy.features.scene_cues import varying_or_one
from vtbench_redundancy.features.token_geometry import MEASURES, token_geometry
from vtbench_redundancy.inputs.array_stream import Array, ArrayStream
from vtbench_redundancy.inputs.rows import Rows
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol

GEOMETRY_IMAGES = 256
"""Images whose geometry is measured: it varies little, and each image costs an eigendecomposition."""
LAYER = "tokens"
_CHANNELS = (1, 3, 4)
"""Of images that people have: grey, RGB, RGBA."""


@dataclass(frozen=True, slots=True)
class ArrayFeatures:
    """Features of the n images that are scored."""

    tokens: np.ndarray
    """(n, S, m, r) coordinates."""
    patches: np.ndarray
    """(n, m or P, r)"""
    pixels: np.ndarray
    """(n, P, c); of another target (n, q, 1)."""
    cells: np.ndarray | None
    """(n, m, r) averages of all tokens by cell; None where all tokens are measured, or have no positions."""
    norms: np.ndarray
    """(n, N) Euclidean norms of all tokens."""
    geometry: np.ndarray
    """(k, 5), rows of `token_geometry` of the images `measured`, of all that were given."""
    measured: np.ndarray
    """(k,)"""
    shape: tuple[int, int]
    """N and d."""
    clusters: list[str] | None
    """n names, equal images under one; None where each image is a cluster of its own."""
    measured_clusters: list[str] | None
    """k names, of the images in `measured`."""
    basis_n: int
    """Images that the basis was fitted on and that are not scored."""
    basis: str
    """`supervised`, `pca`, or `none` where a token has no more coordinates than are kept."""
    across_cells: bool
    """Whether tokens lie across the edges of the cells that `cells` are averages of."""


def extract_features(
    tokens: Array,
    images: Array | None,
    patches: Array | None,
    boxes: np.ndarray | None,
    protocol: Protocol,
    device: str | torch.device,
    clusters: Sequence[str] | None = None,
    spectra: int = GEOMETRY_IMAGES,
    target: Array | None = None,
) -> ArrayFeatures:
    """Fit the coordinates on the first images, and reduce the others (in `rs-v1`: all) to them.

    Equal images are in one cluster, so that none is in the basis and scored, and an image that is there twice does not
    count as two observations.

    Args:
        tokens: (n, N, d).
        images: (n, H, W, C), or None.
        patches: (n, P, p), or None.
        boxes: (N, 4) parts of the image that the tokens stand for.
        protocol: settings.
        device: where torch computes.
        clusters: n names; images of one name are either all scored or none of them.
        spectra: images, evenly spread, whose geometry is measured.
        target: (n, q) features that the tokens are to say something about, in place of the pixels.

    Raises:
        InputError: shapes that do not match, values that are not finite (how many, and where), fewer than 50 images.
    """
    name, sources = ("images", images) if patches is None else ("patches", patches)
    if (images is None) == (patches is None) or sources is None:
        raise InputError("give either images (n, H, W, C) or patches (n, P, p), one of the two")
    tokens, sources = _array(tokens), _array(sources)
    _check(tokens, sources, name, boxes)
    n, count, width = tokens.shape
    features = None if target is None else _features(target, n, protocol)
    layout = choose_layout(count, boxes, protocol.m, protocol.subsets, protocol.seed)
    cut = PatchCutter.of(sources.shape, layout.cells_m4, protocol)
    scored = np.ones(n, dtype=bool)
    reduced = width > protocol.coordinates(layout.chosen_Sm.shape[1])
    if protocol.held_out and reduced:
        scored = scored_images(n, clusters, protocol.basis_images)
    basis_n = int((~scored).sum())
    fitted = ~scored if basis_n else np.arange(n) < protocol.basis_images
    supervised = protocol.basis == "supervised" and basis_n > 0
    axes = pixel_axes(sources, cut, protocol, device) if protocol.held_out else None
    columns = 0 if features is None else features.shape[1]
    fit = EncoderFit(protocol if supervised else replace(protocol, basis="pca"), {LAYER: layout}, axes, columns)
    slices = ArrayStream(tokens, sources, name, device)
    for seen in slices.read(int(np.flatnonzero(fitted)[-1]) + 1):
        rows = torch.as_tensor(np.flatnonzero(fitted[seen.rows]), device=seen.tokens_bNd.device)
        about = None if features is None else torch.as_tensor(features[seen.rows][rows.cpu()], device=rows.device)
        fit.update({LAYER: seen.tokens_bNd[rows]}, *cut(seen.images[rows]), about)
    encoder = fit.encoder()
    measured = np.unique(np.linspace(0, n - 1, min(n, spectra)).round().astype(int))
    shapes = np.empty((len(measured), len(MEASURES)), np.float32)
    place = np.cumsum(scored) - 1
    norms = np.empty((n - basis_n, count))
    kept: dict[str, np.ndarray] = {}
    marks: list[int] = []  # of each image; equal images have one mark
    for seen in slices.read():
        here = scored[seen.rows]
        to = place[seen.rows][here]
        norms[to] = seen.norms_bN.cpu().numpy()[here]
        marks += [hash(image.tobytes()) for image in seen.images.cpu().numpy()]
        for key, values in encoder.encode({LAYER: seen.tokens_bNd}, *cut(seen.images)).items():
            kept.setdefault(key, np.empty((n - basis_n, *values.shape[1:]), np.float32))[to] = values[here]
        some = (measured >= seen.rows.start) & (measured < seen.rows.stop)
        if some.any():
            chosen = torch.as_tensor(measured[some] - seen.rows.start, device=seen.tokens_bNd.device)
            shapes[some] = token_geometry(seen.tokens_bNd[chosen]).cpu().numpy()
    joined = join_equal_images(clusters, marks)
    if joined is not clusters:  # once, as joined clusters stay what they are
        return extract_features(tokens, images, patches, boxes, protocol, device, joined, spectra, target)
    if features is not None:
        kept["pixels"] = varying_or_one(features[scored])[:, :, None]
    elif encoder.pixels.keeps and not reduced:
        # both sides have the user's own coordinates, which may be of any scale; a projection of several has one
        kept = {key: normal_scores(torch.as_tensor(values)).float().numpy() for key, values in kept.items()}
    of_scored, of_measured = (
        None if clusters is None else [clusters[int(i)] for i in rows] for rows in (np.flatnonzero(scored), measured)
    )
    return ArrayFeatures(
        kept[f"tokens/{LAYER}"], kept["patches"], kept["pixels"], kept.get(f"cells/{LAYER}"), norms, shapes, measured,
        (count, width), of_scored, of_measured, basis_n, ("supervised" if supervised else "pca") if reduced else "none",
        layout.across_cells,
    )  # fmt: skip


def _features(target: Array, n: int, protocol: Protocol) -> np.ndarray:
    if len(target) != n:
        raise InputError(f"tokens are of {n} images but the target has {len(target)} rows; both need a row an image")
    return target_coordinates(target, protocol)


def _check(tokens: Array, sources: Array, name: str, boxes: np.ndarray | None) -> None:
    shapes = {"tokens": "(n, N, d)", "images": "(n, H, W, C)", "patches": "(n, P, p)"}
    for what, array in (("tokens", tokens), (name, sources)):
        if array.ndim != shapes[what].count(",") + 1 or 0 in array.shape[1:]:
            raise InputError(f"{what} have shape {tuple(array.shape)}; wanted {shapes[what]}")
        if array.dtype.kind not in "fiub":
            raise InputError(f"{what} hold {array.dtype}; wanted real numbers")
    n = len(tokens)
    if name == "images" and sources.shape[3] not in _CHANNELS and sources.shape[1] in _CHANNELS:
        raise InputError(f"images have shape {tuple(sources.shape)}, channels first; wanted (n, H, W, C)")
    if len(sources) != n:
        raise InputError(f"tokens are of {n} images but {name} of {len(sources)}; both must have one row an image")
    if n < MIN_IMAGES:
        raise InputError(f"{n} images are too few for any score; give at least {MIN_IMAGES}, better 2,000")
    if tokens.shape[1] < 2:
        raise InputError("there is one token an image; redundancy is between two tokens or more")
    if boxes is not None and np.shape(boxes) != (tokens.shape[1], 4):
        raise InputError(f"boxes have shape {np.shape(boxes)}; wanted ({tokens.shape[1]}, 4), one for each token")
    if boxes is not None:
        edges = np.asarray(boxes)
        if not ((edges >= 0) & (edges <= 1)).all():
            raise InputError("boxes hold values outside 0 to 1; wanted fractions of the image, not pixels")
        if wrong := np.flatnonzero((edges[:, 0] >= edges[:, 2]) | (edges[:, 1] >= edges[:, 3])).tolist():
            raise InputError(
                f"boxes: {len(wrong)} have their right edge not right of the left one, or their bottom not below the "
                f"top, the first in row {wrong[0]}; wanted left, top, right, bottom"
            )


def _array(array: Array) -> Array:
    return array if isinstance(array, Rows) else np.asarray(array)
