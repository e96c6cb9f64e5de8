"""Features of arrays: coordinates, token norms and token geometry of each image.

Arrays are numpy arrays, memory-mapped ones, or `Rows` of a file. They are read once in slices (the first images twice)
and never held whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.features.feature_encoder import EncoderFit
from vtbench_redundancy.features.patch_layout import choose_layout, cut_token_and_grid_patches
from vtbench_redundancy.features.token_geometry import MEASURES, token_geometry
from vtbench_redundancy.inputs.array_stream import Array, ArraySlice, ArrayStream
from vtbench_redundancy.inputs.rows import Rows
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol

GEOMETRY_IMAGES = 256
"""Images whose geometry is measured: it varies little, and each image costs an eigendecomposition."""
LAYER = "tokens"


@dataclass(frozen=True, slots=True)
class ArrayFeatures:
    """Features of n images."""

    tokens: np.ndarray
    """(n, S, m, r) coordinates."""
    patches: np.ndarray
    """(n, m or P, r)"""
    pixels: np.ndarray
    """(n, P, c)"""
    norms: np.ndarray
    """(n, N) Euclidean norms of all tokens."""
    geometry: np.ndarray
    """(k, 5), rows of `token_geometry` of the images `measured`."""
    measured: np.ndarray
    """(k,)"""
    shape: tuple[int, int]
    """N and d."""


def extract_features(
    tokens: Array,
    images: Array | None,
    patches: Array | None,
    boxes: np.ndarray | None,
    protocol: Protocol,
    device: str | torch.device,
    spectra: int = GEOMETRY_IMAGES,
) -> ArrayFeatures:
    """Fit principal components on the first images, and reduce all images to their coordinates.

    Args:
        tokens: (n, N, d).
        images: (n, H, W, C), or None.
        patches: (n, P, p), or None.
        boxes: (N, 4) parts of the image that the tokens stand for.
        protocol: settings.
        device: where torch computes.
        spectra: images, evenly spread, whose geometry is measured.

    Raises:
        InputError: shapes that do not match, values that are not finite (how many, and where), fewer than 50 images.
    """
    name, sources = ("images", images) if patches is None else ("patches", patches)
    if (images is None) == (patches is None) or sources is None:
        raise InputError("give either images (n, H, W, C) or patches (n, P, p), one of the two")
    tokens, sources = _array(tokens), _array(sources)
    _check(tokens, sources, name, boxes)
    n, count, width = tokens.shape
    layout = choose_layout(count, boxes, protocol.m, protocol.subsets, protocol.seed)
    whole_places = choose_layout(sources.shape[1], None, protocol.m, 1, protocol.seed).chosen_Sm[0]

    def parts(seen: ArraySlice) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Tokens, and the patches that stand for them and for the whole image."""
        if sources.ndim == 4:
            return {LAYER: seen.tokens_bNd}, *cut_token_and_grid_patches(seen.images, layout.cells_m4, protocol)
        patches_bmp = seen.images[:, whole_places]
        return {LAYER: seen.tokens_bNd}, patches_bmp, patches_bmp

    slices, fit = ArrayStream(tokens, sources, name, device), EncoderFit(protocol, {LAYER: layout.chosen_Sm})
    for seen in slices.read(protocol.warmup):
        fit.update(*parts(seen))
    encoder = fit.encoder()
    measured = np.unique(np.linspace(0, n - 1, min(n, spectra)).round().astype(int))
    shapes = np.empty((len(measured), len(MEASURES)), np.float32)
    norms = np.empty((n, count))
    kept: dict[str, np.ndarray] = {}
    for seen in slices.read():
        norms[seen.rows] = seen.norms_bN.cpu().numpy()
        for key, found in encoder.encode(*parts(seen)).items():
            kept.setdefault(key, np.empty((n, *found.shape[1:]), np.float32))[seen.rows] = found
        some = (measured >= seen.rows.start) & (measured < seen.rows.stop)
        if some.any():
            chosen = torch.as_tensor(measured[some] - seen.rows.start, device=seen.tokens_bNd.device)
            shapes[some] = token_geometry(seen.tokens_bNd[chosen]).cpu().numpy()
    return ArrayFeatures(
        kept[f"tokens/{LAYER}"], kept["patches"], kept["pixels"], norms, shapes, measured, (count, width)
    )


def _check(tokens: Array, sources: Array, name: str, boxes: np.ndarray | None) -> None:
    shapes = {"tokens": "(n, N, d)", "images": "(n, H, W, C)", "patches": "(n, P, p)"}
    for what, array in (("tokens", tokens), (name, sources)):
        if array.ndim != shapes[what].count(",") + 1 or 0 in array.shape[1:]:
            raise InputError(f"{what} have shape {tuple(array.shape)}; wanted {shapes[what]}")
        if array.dtype.kind not in "fiub":
            raise InputError(f"{what} hold {array.dtype}; wanted real numbers")
    n = len(tokens)
    if len(sources) != n:
        raise InputError(f"tokens are of {n} images but {name} of {len(sources)}; both must have one row an image")
    if n < MIN_IMAGES:
        raise InputError(f"{n} images are too few for any score; give at least {MIN_IMAGES}, better 2,000")
    if tokens.shape[1] < 2:
        raise InputError("there is one token an image; redundancy is between two tokens or more")
    if boxes is not None and np.shape(boxes) != (tokens.shape[1], 4):
        raise InputError(f"boxes have shape {np.shape(boxes)}; wanted ({tokens.shape[1]}, 4), one for each token")
    if boxes is not None and not ((np.asarray(boxes) >= 0) & (np.asarray(boxes) <= 1)).all():
        raise InputError("boxes hold values outside 0 to 1; wanted fractions of the image, not pixels")


def _array(array: Array) -> Array:
    return array if isinstance(array, Rows) else np.asarray(array)
