"""The Redundancy Score with its jackknife replicates: coordinates in, the score from all images and from subsets out.

The difference of two runs on the same pictures needs the replicates that a score's interval is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vtbench_redundancy.measuring import Pictures


@dataclass(frozen=True, slots=True)
class Replicates:
    """What one run's tokens or patches say, with each group of images left out in turn."""

    values: Mapping[str, Tensor]
    """(1 + groups,) by score, over all images first."""
    flags: tuple[str, ...] = ()
    """Why there are no values, or what to know of them."""


def of_tokens(tokens: np.ndarray, pictures: Pictures) -> Replicates:
    """Measure one run's tokens, (n, S, m, r) coordinates of the m in each of S subsets: `rs` and `discarded`."""
    found = pictures.estimates(tokens, "constant_tokens")
    if isinstance(found, str):
        return Replicates({}, (found,))
    pixels = pictures.own
    values = {} if found.low else {"rs": found.rs}
    values |= {} if pixels.low else {"discarded": 1 - found.joint / pixels.joint}
    return Replicates(values, pictures.flags + ("low_information",) * found.low)


def of_patches(patches: np.ndarray, pictures: Pictures) -> Replicates:
    """Measure the pictures' own patches, (n, m, r) coordinates: `r_pix`."""
    found = pictures.estimates(patches[:, None], "constant_images")
    if isinstance(found, str):
        return Replicates({}, (found,))
    return Replicates({} if found.low else {"r_pix": found.rs}, pictures.flags)
