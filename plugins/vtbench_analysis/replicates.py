"""The Redundancy Score with its jackknife replicates: coordinates in, the score from all images and from subsets out.

`score_coordinates` says a score and how sure it is; the difference of two runs on the same pictures needs the
replicates behind that. It is the same arithmetic in the same order, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.copula import normal_scores
from vtbench_redundancy.gaussian import Information, information
from vtbench_redundancy.groups import Groups, deal, jackknife, subsets
from vtbench_redundancy.null import NoisyPixels, noisy_pixels
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.room import Room


@dataclass(frozen=True, slots=True)
class Replicates:
    """What one run's tokens or patches say, with each group of images left out in turn."""

    values: Mapping[str, Tensor]
    """(1 + groups,) by score, over all images first."""
    flags: tuple[str, ...] = ()
    """Why there are no values, or what to know of them."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What runs have in common: the pictures, how they are dealt into groups, and X̃."""

    groups: Groups
    room: Room
    noisy: NoisyPixels
    of_pixels: Information
    """I(X ; X̃)."""
    protocol: Protocol

    @property
    def flags(self) -> tuple[str, ...]:
        """What to know of every score."""
        return self.room.flags + self.groups.flags


def yardstick(pixels: np.ndarray, width: int, clusters: Sequence[str], protocol: Protocol) -> Yardstick | str:
    """Deal the images into groups and draw X̃; or say in a flag why that cannot be.

    Args:
        pixels: (n, P, c) coordinates of the pictures.
        width: coordinates of all measured tokens of an image together.
        clusters: n names; images of one scene stay together.
        protocol: its settings.
    """
    n = len(pixels)
    if n < MIN_IMAGES:
        return "few_images"
    room = Room.of(n, width, pixels.shape[1:], protocol)
    groups = deal(n, clusters, protocol.groups, protocol.seed)
    x_nq = _load(pixels.reshape(n, -1)[:, room.coordinates], groups)
    if not x_nq.any():
        return "constant_images"
    noisy = noisy_pixels(x_nq, groups.sizes, protocol.floor, protocol.permutations, protocol.seed, groups.clusters)
    return Yardstick(groups, room, noisy, _measure(x_nq[:, None, :], groups, noisy, protocol), protocol)


def of_tokens(tokens: np.ndarray, by: Yardstick) -> Replicates:
    """Measure one run's tokens, (n, S, m, r) coordinates of the m in each of S subsets: `rs` and `discarded`."""
    choices, m, r = tokens.shape[1:]
    places = by.room.places(m, r)
    count = max(choices, len(places)) if places else 0
    found = _score([tokens[:, s % choices, places[s % len(places)]] for s in range(count)], "rs", "constant_tokens", by)
    if isinstance(found, Replicates):
        return found
    values, joint = found
    if not _low([by.of_pixels], by.protocol.groups):
        values["discarded"] = 1 - joint / by.of_pixels.joint
    return Replicates(values, by.flags if "rs" in values else (*by.flags, "low_information"))


def of_patches(patches: np.ndarray, by: Yardstick) -> Replicates:
    """Measure the pictures' own patches, (n, m, r) coordinates: `r_pix`."""
    some = [patches[:, place] for place in by.room.places(*patches.shape[1:])]
    found = _score(some, "r_pix", "constant_images", by)
    return found if isinstance(found, Replicates) else Replicates(found[0], by.flags)


def _score(
    parts: Sequence[np.ndarray], name: str, constant: str, by: Yardstick
) -> tuple[dict[str, Tensor], Tensor] | Replicates:
    """The redundancy of each part (n, m, r), averaged, and the joint information; or why there is none."""
    if not parts:
        return Replicates({}, ("few_images",))
    scores = [_load(part, by.groups) for part in parts]
    if not any(z.any() for z in scores):
        return Replicates({}, (constant,))
    found = [_measure(z, by.groups, by.noisy, by.protocol) for z in scores]
    values = {} if _low(found, by.protocol.groups) else {name: _mean([1 - i.joint / i.total for i in found])}
    return values, _mean([i.joint for i in found])


def _load(array: np.ndarray, groups: Groups) -> Tensor:
    return normal_scores(torch.as_tensor(array[groups.order]))


def _measure(z_nmr: Tensor, groups: Groups, noisy: NoisyPixels, protocol: Protocol) -> Information:
    keep = subsets(groups.sizes, float("inf"))
    # the replicates' spread is that of the average, without its cost: it is measured in docs/redundancy.md
    return information(z_nmr, noisy, keep, protocol.jitter, [protocol.crossed, *[False] * protocol.groups])


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean(dim=0)


def _low(parts: Sequence[Information], groups: int) -> bool:
    """Is there too little information to share? As `score_coordinates` asks it."""
    total = _mean([i.total for i in parts])
    return float(total[0]) < 3 * max(float(jackknife(total, groups)), max(i.null_spread for i in parts))
