"""The score of anyone's own arrays.

In: tokens (n, N, d) with pictures (n, H, W, 3) or patches (n, P, p), in memory or memory-mapped. Out: `Redundancy`.
The arrays are read in slices of images, twice, and never held whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from vtbench.errors import VtbenchError
from vtbench_redundancy.basis import BasisFit, Places
from vtbench_redundancy.layout import cut_both, lay_out
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.score import Redundancy, score_coordinates

SLICE = 64
"""Images read at once."""


class InputError(VtbenchError, ValueError):
    """Arrays that cannot be scored: the message says which, where and why."""


def redundancy_score(
    tokens: np.ndarray,
    images: np.ndarray | None = None,
    *,
    patches: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    clusters: Sequence[str] | None = None,
    protocol: Protocol = Protocol(),  # noqa: B008
    device: str | torch.device = "cpu",
) -> Redundancy:
    """Measure how much of what visual tokens say about the picture is said more than once.

    RS = 1 − I(Z_1..Z_m ; X̃) / Σ_i I(Z_i ; X̃), a number without unit; the informations are in nats. See
    docs/redundancy.md for what it says and does not say.

    Args:
        tokens: (n, N, d) visual tokens of n pictures, as they enter the language model.
        images: (n, H, W, C) the pictures, any scale of values; or give `patches`.
        patches: (n, P, p) the pictures as patches; patch i is the part of token i where P = N.
        boxes: (N, 4) left, top, right, bottom of the part that token i stands for, as fractions of the picture. Without
            them, a square number of tokens is taken for a grid in raster order.
        clusters: n names; pictures of one name (frames of a film, say) are not independent and stay together in the
            interval's groups.
        protocol: settings; the defaults are `rs-v1`.
        device: where torch computes.

    Returns:
        Five scores with 95 % intervals and flags; `value` is None where it cannot be said.

    Raises:
        InputError: shapes that do not match, values that are not finite (how many, and where), fewer than 50 images.

    >>> noise = np.random.default_rng(0)
    >>> pixels = noise.standard_normal((400, 4, 6)).astype(np.float32)
    >>> twice = np.concatenate([pixels, pixels], axis=1)
    >>> round(redundancy_score(twice, patches=pixels).rs.value, 2)
    0.5
    """
    tokens = np.asarray(tokens)
    pictures = _check(tokens, images, patches, boxes, clusters)
    layout = lay_out(tokens.shape[1], boxes, protocol.m, protocol.subsets, protocol.seed)

    def slices(stop: int) -> Iterator[Places]:
        for start in range(0, stop, SLICE):
            seen = _tensor(pictures[start : min(start + SLICE, stop)], device)
            if pictures.ndim == 4:
                own, whole = cut_both(seen, layout.cells_m4, protocol)
            else:
                own = whole = seen[:, lay_out(seen.shape[1], None, protocol.m, 1, protocol.seed).chosen_Sm[0]]
            yield Places.of(_tensor(tokens[start : min(start + SLICE, stop)], device), layout.chosen_Sm, own, whole)

    fit = BasisFit(protocol)
    for places in slices(min(len(tokens), protocol.warmup)):
        fit.update(places)
    basis = fit.basis()
    parts = [basis.encode(places) for places in slices(len(tokens))]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    facts = {"N": tokens.shape[1], "d": tokens.shape[2]}
    return score_coordinates(**whole, protocol=protocol, clusters=clusters, detail=facts, device=device)


def _tensor(array: np.ndarray, device: str | torch.device) -> Tensor:
    return torch.as_tensor(
        np.array(array, dtype=np.float64 if array.dtype == np.float64 else np.float32), device=device
    )


def _check(
    tokens: np.ndarray,
    images: np.ndarray | None,
    patches: np.ndarray | None,
    boxes: np.ndarray | None,
    clusters: Sequence[str] | None,
) -> np.ndarray:
    """Return the pictures or patches, once everything fits together."""
    if (images is None) == (patches is None):
        raise InputError("give either images (n, H, W, C) or patches (n, P, p), one of the two")
    name, pictures = ("images", np.asarray(images)) if patches is None else ("patches", np.asarray(patches))
    for what, array, shape in (("tokens", tokens, "(n, N, d)"), (name, pictures, _SHAPES[name])):
        if array.ndim != shape.count(",") + 1 or 0 in array.shape[1:]:
            raise InputError(f"{what} have shape {array.shape}; wanted {shape}")
        if array.dtype.kind not in "fiub":
            raise InputError(f"{what} hold {array.dtype}; wanted real numbers")
    n = len(tokens)
    if len(pictures) != n:
        raise InputError(f"tokens are of {n} images but {name} of {len(pictures)}; both must have one row an image")
    if n < MIN_IMAGES:
        raise InputError(f"{n} images are too few for any score; give at least {MIN_IMAGES}, better 2,000")
    if boxes is not None and np.shape(boxes) != (tokens.shape[1], 4):
        raise InputError(f"boxes have shape {np.shape(boxes)}; wanted ({tokens.shape[1]}, 4), one for each token")
    if clusters is not None and len(clusters) != n:
        raise InputError(f"there are {n} images but {len(clusters)} cluster names")
    for what, array in (("tokens", tokens), (name, pictures)):
        _check_finite(what, array)
    return pictures


_SHAPES = {"images": "(n, H, W, C)", "patches": "(n, P, p)"}


def _check_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    count, first = 0, ""
    for start in range(0, len(array), SLICE):
        bad = ~np.isfinite(array[start : start + SLICE])
        if bad.any() and not count:
            where = np.argwhere(bad)[0] + np.eye(1, array.ndim, dtype=int)[0] * start
            first = ", ".join(str(int(i)) for i in where)
        count += int(bad.sum())
    if count:
        raise InputError(
            f"{name} hold {count} values that are NaN or infinite, the first at [{first}]; leave those images out"
        )
