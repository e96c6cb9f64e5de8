"""Reads the photographs of `scene.backgrounds`: a directory -> the images by kind; and cuts backgrounds out of them.

The kind of a photograph is the name of its directory inside DIR, or its own name without a number: `grass_2.jpg` in
DIR shows grass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from vtbench.errors import TaskError
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Photograph

T = TypeVar("T")

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
LEAST_SIDE = 64
"""In pixels; a smaller image is no background."""
LEAST_PART = 70
"""Side of the square that is shown, in percent of the shorter side, at least."""


@dataclass(frozen=True)
class Photographs:
    """The photographs of a directory, in the order of their names."""

    images: tuple[Photograph, ...]
    digest: str
    """Tells these photographs and their kinds from others, wherever they lie."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the photographs show, each kind once."""
        return tuple(dict.fromkeys(image.kind for image in self.images))

    def of(self, kind: str) -> tuple[Photograph, ...]:
        """Return the photographs of a kind."""
        return tuple(image for image in self.images if image.kind == kind)

    def __str__(self) -> str:
        return f"{len(self.images)} photographs, {self.digest[:32]}"


def read_photographs(directory: Path) -> Photographs:
    """Read a directory of photographs, and the directories in it.

    Raises:
        TaskError: there is no such directory, it has no photograph, or one cannot be used.
    """
    if not directory.is_dir():
        raise TaskError(f"{directory}: no such directory of photographs")
    files = sorted(path for path in (*directory.glob("*"), *directory.glob("*/*")) if path.suffix.lower() in SUFFIXES)
    if not files:
        raise TaskError(f"{directory}: no photographs (.png, .jpg, .webp) in it")
    images = tuple(_photograph(path, directory) for path in files)
    facts = "\n".join(f"{image.kind} {image.digest}" for image in images)
    return Photographs(images, hashlib.sha256(facts.encode()).hexdigest())


def as_photographs(value: Any) -> Photographs | None:
    """Return the photographs of a directory that a task file names."""
    return value if value is None or isinstance(value, Photographs) else read_named(value, read_photographs)


def read_named(value: Any, read: Callable[[Path], T]) -> T:
    """Read a directory that a task file names.

    Raises:
        ValueError: it is no path, or cannot be read.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("must be the path of a directory")
    try:
        return read(Path(value))
    except TaskError as error:
        raise ValueError(str(error)) from None


def _photograph(path: Path, directory: Path) -> Photograph:
    named = path.parent.name if path.parent != directory else re.sub(r"[\W_]*\d*$", "", path.stem)
    kind = " ".join(re.split(r"[\W_]+", named.lower())).strip()
    if not kind:
        raise TaskError(f"{path}: its name does not say what it shows; call it grass_1{path.suffix}, for example")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        pixels = np.asarray(_decoded(str(path), digest))
    except (OSError, Image.DecompressionBombError) as error:
        raise TaskError(f"{path}: cannot be read as an image ({error})") from None
    if min(pixels.shape[:2]) < LEAST_SIDE:
        raise TaskError(f"{path}: has less than {LEAST_SIDE} pixels on its shorter side")
    red, green, blue = (int(value) for value in pixels.mean(axis=(0, 1), dtype=np.float64).round())
    return Photograph(kind, str(path), digest, (red, green, blue))


@lru_cache(maxsize=32)
def _decoded(path: str, digest: str) -> Image.Image:
    """Return an image, RGB; with the digest, a file that has changed is read again."""
    with Image.open(path) as image:
        return image.convert("RGB")


def crop(photograph: Photograph, seed: int, size: int) -> Image.Image:
    """Return a square part of a photograph, size x size pixels, RGB; which part is a function of the seed."""
    image, rng = _decoded(photograph.path, photograph.digest), HashRng("photograph", seed)
    shorter = min(image.size)
    side = shorter * rng.between(LEAST_PART, 100) // 100
    left, top = rng.between(0, image.width - side), rng.between(0, image.height - side)
    return image.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
