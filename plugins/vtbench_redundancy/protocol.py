"""Every constant of the protocol `rs-v1`. In: nothing. Out: the numbers a score must be printed with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Protocol:
    """The settings that decide a Redundancy Score; two scores compare only where these are equal."""

    name: str = "rs-v1"
    m: int = 64
    """Tokens in one estimate; a model with more is measured on `subsets` stratified choices of m."""
    subsets: int = 8
    r: int = 8
    """Principal components kept of a token, and of a pixel patch."""
    r_x: int = 128
    """Principal components kept of the picture."""
    floor: float = 1e-2
    """Variance of the noise that makes X̃ of X, whose coordinates have unit variance: the stated resolution."""
    jitter: float = 1e-6
    """Added to the variance of the tokens' unit-variance coordinates, for numerical rank only."""
    permutations: int = 5
    """Draws of the noise, and permutations of X̃ for the null; 0 leaves the null out (one draw)."""
    crossed: bool = True
    """Average each estimate with its cross-validated twin (see `gaussian.information`)."""
    groups: int = 10
    """Groups of images: those that the jackknife leaves out, and the folds of cross-validation."""
    widen: float = 1.0
    """What the measured coverage of the interval asks it to be multiplied by (docs/redundancy.md)."""
    warmup: int = 512
    """Images from which the principal components come."""
    projection: int = 256
    """The covariance of wider vectors is sketched with this many columns (see `basis.Components`)."""
    patch_pixels: int = 8
    """A pixel patch is averaged to this many pixels a side."""
    seed: int = 0


MIN_IMAGES = 50
"""Fewer images give no score."""
FEW_IMAGES = 300
"""Fewer images give a flagged score."""
ROOM = 1.35
"""The full protocol needs this many times as many images as its covariances have dimensions."""
WIDE_ROOM = 2.0
"""With fewer images, tokens and pixels are cut down until there are this many times as many."""
TIGHT_ROOM = 1.1
"""The halves that convergence is checked on need only be computable."""


def few(n: int) -> tuple[str, ...]:
    """The flag of a score from n images, if it needs one."""
    return ("few_images",) * (n < FEW_IMAGES)
