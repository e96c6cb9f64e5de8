"""The suite on arrays: tokens (n, N, d) with images (n, H, W, C) or patches (n, P, p) to scores, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vtbench.types import Score
from vtbench_redundancy.errors import InputError
from vtbench_redundancy.features.array_features import ArrayFeatures, extract_features
from vtbench_redundancy.features.patch_layout import ACROSS_CELLS
from vtbench_redundancy.inputs.array_stream import Array
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.geometry_scores import geometry_scores
from vtbench_redundancy.scores.redundancy_score import Redundancy, score_coordinates
from vtbench_redundancy.scores.token_patch_map import Carriers, carriers
from vtbench_redundancy.scores.token_use import TokenUse, token_use


def redundancy_score(
    tokens: Array,
    images: Array | None = None,
    *,
    patches: Array | None = None,
    boxes: np.ndarray | None = None,
    clusters: Sequence[str] | None = None,
    target: Array | None = None,
    protocol: Protocol = Protocol(),  # noqa: B008
    device: str | torch.device = "cpu",
) -> Redundancy:
    """Estimate the share of the information about the image, summed token by token, that is lost to repetition.

    RS = 1 − I(Z_1..Z_m ; X̃) / Σ_i I(Z_i ; X̃), a number without unit; the informations are in nats. See
    docs/redundancy.md for its meaning and its limits.

    Args:
        tokens: (n, N, d) visual tokens of n images, as they enter the language model.
        images: (n, H, W, C) the images, any scale of values; or give `patches`.
        patches: (n, P, p) the images as patches; patch i is the part of token i where P = N.
        boxes: (N, 4) left, top, right, bottom of the part that token i stands for, as fractions of the image. Without
            them, a square number of tokens is taken for a grid in raster order.
        clusters: n names; images of one name (frames of a film, say) are not independent and stay together in the
            interval's groups.
        target: (n, q) features of the images that RS is to be about in place of their pixels: those of a frozen
            encoder, say. Of more than `r_x` their leading principal components are taken.
        protocol: settings; the defaults are `rs-v2`.
        device: where torch computes.

    Returns:
        Scores with 95 % intervals and flags; `value` is None where there is no estimate, and a flag says why.

    Raises:
        InputError: shapes that do not match, values that are not finite (how many, and where), fewer than 50 images.

    >>> noise = np.random.default_rng(0)
    >>> pixels = noise.standard_normal((400, 4, 6)).astype(np.float32)
    >>> twice = np.concatenate([pixels, pixels], axis=1)
    >>> round(redundancy_score(twice, patches=pixels).rs.value, 2)
    0.5
    """
    _check_clusters(clusters, len(tokens))
    protocol = _about(target, protocol)
    seen = extract_features(tokens, images, patches, boxes, protocol, device, clusters, spectra=0, target=target)
    return _redundancy(seen, protocol, device)


@dataclass(frozen=True, slots=True)
class Suite:
    """Every score of the suite that needs no model."""

    redundancy: Redundancy
    carriers: Carriers | None
    """None where the target is not pixels: there is no map of patches then."""
    token_use: TokenUse
    geometry: dict[str, Score]
    """By name, see `geometry_scores`."""

    def scores(self) -> dict[str, Score]:
        """All scores by name."""
        carried = self.carriers.scores() if self.carriers else {}
        return self.redundancy.scores() | carried | self.token_use.scores() | self.geometry


def score_arrays(
    tokens: Array,
    images: Array | None = None,
    *,
    patches: Array | None = None,
    boxes: np.ndarray | None = None,
    clusters: Sequence[str] | None = None,
    target: Array | None = None,
    protocol: Protocol = Protocol(),  # noqa: B008
    device: str | torch.device = "cpu",
) -> Suite:
    """Compute the whole suite: the Redundancy Score, carriers, the tokens' use and their geometry.

    Arguments and errors are those of `redundancy_score`. The drop curve is not among them, as it asks a model.

    >>> pixels = np.random.default_rng(0).standard_normal((400, 4, 6)).astype(np.float32)
    >>> found = score_arrays(np.concatenate([pixels, pixels], axis=1), patches=pixels).scores()
    >>> {name: round(found[name].value, 1) for name in ("rs", "carriers", "dead")}
    {'rs': 0.5, 'carriers': 2.0, 'dead': 0.0}
    """
    _check_clusters(clusters, len(tokens))
    protocol = _about(target, protocol)
    seen = extract_features(tokens, images, patches, boxes, protocol, device, clusters, target=target)
    settings: dict[str, Any] = {
        "protocol": protocol, "clusters": seen.clusters, "detail": _facts(seen), "device": device
    }  # fmt: skip
    return Suite(
        _redundancy(seen, protocol, device),
        carriers(seen.tokens[:, 0], seen.patches, **settings) if protocol.target == "pixels" else None,
        token_use(seen.tokens[:, 0], seen.pixels, seen.norms, **settings),
        geometry_scores(seen.geometry, seen.shape, seen.measured_clusters, protocol),
    )


def _redundancy(seen: ArrayFeatures, protocol: Protocol, device: str | torch.device) -> Redundancy:
    return score_coordinates(
        seen.tokens, seen.patches if protocol.target == "pixels" else None, seen.pixels, protocol, seen.clusters,
        _facts(seen), device, seen.cells,
    )  # fmt: skip


def _about(target: Array | None, protocol: Protocol) -> Protocol:
    """Return the protocol with a name that says that it has a target.

    Raises:
        InputError: the protocol has another target than pixels, and there is no target.
    """
    if target is None and protocol.target != "pixels":
        raise InputError(f"the protocol has target={protocol.target}, which arrays do not bring; give `target`, (n, q)")
    if target is None or protocol.target != "pixels":
        return protocol
    return replace(protocol, target="array.npy", name=f"{protocol.name} target=array.npy")


def _facts(seen: ArrayFeatures) -> dict[str, Any]:
    facts = {"N": seen.shape[0], "d": seen.shape[1], "basis": seen.basis, "basis_n": seen.basis_n}
    return facts | {ACROSS_CELLS: True} if seen.across_cells else facts


def _check_clusters(clusters: Sequence[str] | None, n: int) -> None:
    if clusters is not None and len(clusters) != n:
        raise InputError(f"there are {n} images but {len(clusters)} cluster names")
