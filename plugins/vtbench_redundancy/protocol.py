"""The protocols `rs-v2` and `rs-v1`: every constant that decides a Redundancy Score, and the check of settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Annotated, Any, Literal

from vtbench.errors import VtbenchError, nearest
from vtbench.settings import help_texts


@dataclass(frozen=True, slots=True)
class Protocol:
    """The settings that decide a Redundancy Score; two scores compare only where these are equal.

    The defaults are `rs-v2`; `PROTOCOLS` has the earlier `rs-v1` too.
    """

    name: str = "rs-v2"
    m: int = 64
    """Tokens in one estimate; a model with more is measured on `subsets` stratified choices of m."""
    subsets: int = 8
    """Choices of m tokens whose estimates are averaged where an image has more than m."""
    r: int | None = None
    """Coordinates kept of a token, and of a patch of the image; None: as `coordinates` says."""
    r_x: int = 192
    """Coordinates kept of the image, in equal parts of its cells."""
    cells: int = 64
    """Cells of the fixed grid that X is made of."""
    basis: Literal["supervised", "pca"] = "supervised"
    """Coordinates of a token: the directions that say most about X (`features.supervised_basis`), or the principal
    components."""
    basis_floor: float = 1e-4
    """Variance of the noise on X for which the supervised basis is fitted: finer than `floor`, so that what a token
    knows nearly exactly comes before what it knows well."""
    held_out: bool = True
    """Whether the supervised basis is fitted on images that are not scored."""
    basis_images: int = 1000
    """Images on which the coordinates are fitted."""
    colour: bool = True
    """Whether an image's coordinates are the mean colours of its cells, or principal components of its patches."""
    target: str = "pixels"
    """What the tokens are to say something about: `pixels`, the `cues` of the image's scene, or a file of features."""
    floor: float = 1e-2
    """Variance of the noise that makes X̃ of X, whose coordinates have unit variance: the stated resolution."""
    token_floor: float = 1e-3
    """Variance added to the tokens' unit-variance coordinates: the resolution at which tokens are read."""
    ranks: bool = False
    """Whether every coordinate is mapped to normal scores, and has the token floor added. Otherwise values are taken as
    they are, and the floor is added to each token's whitened coordinates (`estimators.marginals`)."""
    permutations: int = 5
    """Draws of the noise, and permutations of X̃ for the null; 0 leaves the null out (one draw)."""
    correction: Literal["jackknife", "crossed", "none"] = "jackknife"
    """What removes the bias that the null leaves: the jackknife's own replicates (`estimators.jackknife_bias`), or the
    average with a cross-validated estimate (`estimators.gaussian.information`)."""
    groups: int = 10
    """Groups of images: those that the jackknife leaves out, and the folds of cross-validation."""
    widen: float = 1.0
    """Factor on the standard error that the measured coverage of the interval asks for (docs/redundancy.md)."""
    exact: int = 1024
    """Widest tokens whose covariance is formed."""
    projection: int = 256
    """Dimensions to which wider tokens are reduced before anything else (see `features.principal_components`)."""
    patch_pixels: int = 8
    """Pixels a side to which a patch of the image is averaged."""
    seed: int = 0

    def coordinates(self, m: int) -> int:
        """Return the coordinates kept of a token, where m are measured together.

        By default 256 in all, so that tokens have a third more room than X has coordinates, however many they are.

        >>> [Protocol().coordinates(m) for m in (16, 32, 64)]
        [16, 8, 4]
        """
        return max(LEAST_R, min(MOST_R, TOGETHER // m)) if self.r is None else self.r


TOGETHER, LEAST_R, MOST_R = 256, 4, 16
"""Coordinates of all tokens measured together, and the least and most of one."""


PROTOCOLS: Mapping[str, Protocol] = {
    "rs-v2": Protocol(),
    "rs-v1": Protocol(
        name="rs-v1", r=8, r_x=128, basis="pca", held_out=False, basis_images=512, colour=False, token_floor=1e-6,
        ranks=True, exact=256, correction="crossed",
    ),
}  # fmt: skip
"""By name. `rs-v1` is kept for comparison with scores that were made with it."""

MIN_IMAGES = 50
"""Fewer images give no score."""
FEW_IMAGES = 300
"""Fewer images give a flagged score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSettings:
    """The settings that a user may change, of metrics and of `vtbench score`; None keeps the protocol's own."""

    protocol: Annotated[str, "`rs-v2`, or the earlier `rs-v1`."] = Protocol().name
    m: Annotated[int | None, "Tokens measured together; of more, stratified choices are averaged."] = None
    r: Annotated[int | None, "Coordinates of a token; by default 256 over the tokens measured together, 4 to 16."] = (
        None
    )
    r_x: Annotated[int | None, "Coordinates of the image."] = None
    floor: Annotated[float | None, "Variance of the noise on the pixels: the resolution."] = None
    basis: Annotated[str | None, "Coordinates of a token: `supervised` or `pca`."] = None
    target: Annotated[
        str | None, "What RS is about: `pixels`, `cues` (of scenes), or FILE, features of the images (.npy, .npz)."
    ] = None
    permutations: Annotated[int | None, "Draws of the null."] = None
    seed: Annotated[int | None, "Of noise, permutations and choices."] = None


SETTINGS = help_texts(ProtocolSettings)
"""Their help texts by name."""
_LEAST = {"m": 2, "r": 1, "r_x": 1, "permutations": 1, "seed": 0}
_WORDS = {"protocol": tuple(PROTOCOLS), "basis": ("supervised", "pca")}
_UNNAMED = ("protocol", "seed")
TARGETS = ("pixels", "cues")
"""What RS may be about beside features of a file."""
_FILES = (".npy", ".npz", ".safetensors")
_FEATURE_FILE = re.compile(r"\.(npy|npz|safetensors)(:.+)?$", re.IGNORECASE)


def custom_protocol(settings: Mapping[str, Any], label: Callable[[str], str] = "redundancy: {}".format) -> Protocol:
    """Return a protocol with some settings changed; its name then lists those that change the score's meaning.

    Args:
        settings: values of some of `SETTINGS`; None keeps the protocol's own.
        label: what an error calls a setting.

    Raises:
        VtbenchError: a setting out of range or of the wrong type.

    >>> custom_protocol({"m": 16, "r_x": 192}).name
    'rs-v2 m=16'
    """
    given = {name: value for name, value in settings.items() if value is not None}
    for name, value in given.items():
        _check(name, value, label(name))
    base = PROTOCOLS[given.pop("protocol", Protocol().name)]
    named = [f"{name}={_word(given[name])}" for name in SETTINGS if name in given and name not in _UNNAMED
             and given[name] != getattr(base, name)]  # fmt: skip
    if not base.colour and "m" in given:
        given["cells"] = given["m"]  # rs-v1 made X of as many cells as it measured tokens
    return replace(base, **given, name=" ".join([base.name, *named]))


def named_protocol(name: str, seed: int = 0) -> Protocol:
    """Return the protocol that a stored score names, e.g. `rs-v1 m=16`.

    Raises:
        VtbenchError: a protocol or setting that this version does not know.
    """
    base, *changed = name.split()
    settings: dict[str, Any] = {"protocol": base, "seed": seed}
    for key, _, text in (part.partition("=") for part in changed):
        if key not in SETTINGS:
            raise VtbenchError(f"a stored score has the protocol {name!r}, whose setting {key!r} is unknown here")
        words = key in _WORDS or key == "target"
        settings[key] = text if words else float(text) if key == "floor" else int(text)
    return custom_protocol(settings, label="a stored score: {}".format)


def _word(value: Any) -> str:
    """Return a setting as the protocol's name has it, in one word: a file without its directories, its array whole.

    >>> _word("features/clip.npz:layers/4"), _word("my clip.npy")
    ('clip.npz:layers/4', 'my_clip.npy')
    """
    if not isinstance(value, str):
        return str(value)
    file = value[: found.start(2)] if (found := _FEATURE_FILE.search(value)) and found[2] else value
    return "_".join((PurePath(file).name + value[len(file) :]).split())


def _check(name: str, value: Any, label: str) -> None:
    if name == "target":
        if not isinstance(value, str) or (value not in TARGETS and not _FEATURE_FILE.search(value)):
            near = nearest(str(value), list(TARGETS))
            raise VtbenchError(f"{label} must be pixels, cues or a file ({', '.join(_FILES)}), not {value!r}.{near}")
        return
    if name in _WORDS:
        if value not in _WORDS[name]:
            wanted = " or ".join(_WORDS[name])
            raise VtbenchError(f"{label} must be {wanted}, not {value!r}.{nearest(str(value), list(_WORDS[name]))}")
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == "floor" and not (number and 0 < value <= 1):
        raise VtbenchError(f"{label} must lie above 0 and at most at 1, not {value}")
    if name != "floor" and not (number and isinstance(value, int) and value >= _LEAST[name]):
        raise VtbenchError(f"{label} must be a whole number of at least {_LEAST[name]}, not {value}")


def few_images_flag(n: int) -> tuple[str, ...]:
    """Return the flag of a score from n images, if it needs one."""
    return ("few_images",) * (n < FEW_IMAGES)
