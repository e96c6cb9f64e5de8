"""The protocol `rs-v1`: every constant that decides a Redundancy Score, and the check of settings that differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vtbench.errors import VtbenchError


@dataclass(frozen=True, slots=True)
class Protocol:
    """The settings that decide a Redundancy Score; two scores compare only where these are equal."""

    name: str = "rs-v1"
    m: int = 64
    """Tokens in one estimate; a model with more is measured on `subsets` stratified choices of m."""
    subsets: int = 8
    """Choices of m tokens whose estimates are averaged where an image has more than m."""
    r: int = 8
    """Principal components kept of a token, and of a patch of the image."""
    r_x: int = 128
    """Principal components kept of the image."""
    floor: float = 1e-2
    """Variance of the noise that makes X̃ of X, whose coordinates have unit variance: the stated resolution."""
    jitter: float = 1e-6
    """Added to the variance of the tokens' unit-variance coordinates, for numerical rank only."""
    permutations: int = 5
    """Draws of the noise, and permutations of X̃ for the null; 0 leaves the null out (one draw)."""
    crossed: bool = True
    """Average each estimate with its cross-validated twin (see `estimators.gaussian.information`)."""
    groups: int = 10
    """Groups of images: those that the jackknife leaves out, and the folds of cross-validation."""
    widen: float = 1.0
    """Factor on the standard error that the measured coverage of the interval asks for (docs/redundancy.md)."""
    warmup: int = 512
    """Images on which the principal components are fitted."""
    projection: int = 256
    """Columns of the sketch of the covariance of wider vectors (see `features.principal_components.StreamingPCA`)."""
    patch_pixels: int = 8
    """Pixels a side to which a patch of the image is averaged."""
    seed: int = 0


MIN_IMAGES = 50
"""Fewer images give no score."""
FEW_IMAGES = 300
"""Fewer images give a flagged score."""
IMAGES_PER_DIMENSION = 1.35
"""Images for each dimension of its covariances that the full protocol needs."""
REDUCED_IMAGES_PER_DIMENSION = 2.0
"""With fewer images, tokens and pixels are cut down until there are this many images for each dimension."""
HALVES_IMAGES_PER_DIMENSION = 1.1
"""Enough for the halves on which convergence is checked: they need only be computable."""

SETTINGS = {
    "m": "Tokens measured together; of more, stratified choices are averaged.",
    "r": "Principal components of a token.",
    "r_x": "Coordinates of the image.",
    "floor": "Variance of the noise on the pixels: the resolution.",
    "permutations": "Draws of the null.",
    "seed": "Of noise, permutations and choices.",
}
"""The settings that a user may change, with their help text."""
_LEAST = {"m": 2, "r": 1, "r_x": 1, "permutations": 1, "seed": 0}


def custom_protocol(settings: Mapping[str, float], label: Callable[[str], str] = "redundancy: {}".format) -> Protocol:
    """Return `rs-v1` with some settings changed; its name then lists those that change the score's meaning.

    Args:
        settings: values of some of `SETTINGS`.
        label: what an error calls a setting.

    Raises:
        VtbenchError: a setting out of range or of the wrong type.

    >>> custom_protocol({"m": 16, "r": 8}).name
    'rs-v1 m=16'
    """
    default = Protocol()
    for name, value in settings.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name == "floor" and not (number and 0 < value <= 1):
            raise VtbenchError(f"{label(name)} must lie above 0 and at most at 1, not {value}")
        if name != "floor" and not (number and isinstance(value, int) and value >= _LEAST[name]):
            raise VtbenchError(f"{label(name)} must be a whole number of at least {_LEAST[name]}, not {value}")
    changed = [name for name in SETTINGS if name != "seed" and settings.get(name, 0) != getattr(default, name)]
    named = [f"{name}={settings[name]}" for name in changed if name in settings]
    return replace(default, **settings, name=" ".join([default.name, *named]))  # type: ignore[arg-type]


def few_images_flag(n: int) -> tuple[str, ...]:
    """Return the flag of a score from n images, if it needs one."""
    return ("few_images",) * (n < FEW_IMAGES)
