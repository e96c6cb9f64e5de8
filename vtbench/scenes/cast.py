"""Reads a cast, the cut-outs of `scene.cast`: a directory with cast.json and PNG files -> objects by name.

cast.json has `{"objects": [...]}`, each object with `name`, `article`, `plural`, `group`, `file`, `box` (left, top,
right, bottom in the file's pixels), `colour` (its mean RGB), `source` and `licence`. `vtbench cutouts` writes it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtbench.errors import TaskError
from vtbench.scenes.cutout_drawing import decoded
from vtbench.scenes.photographs import read_named
from vtbench.scenes.scene import Cutout
from vtbench.scenes.shapes import SHAPE_DISTANCES
from vtbench.scoring.normalise import VOCABULARY, normalise

CAST_FILE = "cast.json"
MOST_PIXELS = 4096 * 4096
"""Of one cut-out's file: none is drawn larger than a scene."""
LEAST_SIDE = 16
"""Of the longer side of a cut-out's box, in pixels: of a smaller one nothing is recognised."""
_NAME = re.compile(r"[a-z]+(?: [a-z]+)*")

Channel = Annotated[int, Field(ge=0, le=255)]
Side = Annotated[int, Field(ge=0)]


class CastObject(BaseModel):
    """One object of cast.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """What questions call it: words in lower case."""
    article: str = ""
    """`a` or `an`; empty for a name without one."""
    plural: str = ""
    group: str = ""
    """Its kind: `animals`."""
    file: str = Field(min_length=1)
    """PNG file beside cast.json."""
    box: tuple[Side, Side, Side, Side]
    colour: tuple[Channel, Channel, Channel]
    source: str = ""
    licence: str = ""


class CastFile(BaseModel):
    """The content of cast.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: tuple[CastObject, ...] = Field(min_length=2)


@dataclass(frozen=True)
class Cast:
    """The objects of a cast, in the order of cast.json."""

    objects: tuple[CastObject, ...]
    cutouts: tuple[Cutout, ...]
    digest: str
    """Tells this cast from others, wherever it lies: items are functions of it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objects."""
        return tuple(cutout.name for cutout in self.cutouts)

    def __getitem__(self, name: str) -> Cutout:
        return next(cutout for cutout in self.cutouts if cutout.name == name)

    def group(self, name: str) -> str:
        """Return the group of an object, `food` for example; "" where it has none."""
        return next((one.group for one in self.objects if one.name == name), "")

    def __str__(self) -> str:
        return f"{len(self.cutouts)} objects, {self.digest[:32]}"


def name_problem(name: str, others: Collection[str]) -> str | None:
    """Return what keeps a name out of a cast; None if nothing does.

    >>> name_problem("polar bear", ["bear"])
    "a question about 'bear' would fit it too"
    >>> name_problem("spotted owl", [])
    "its word 'spotted' is one of the benchmark's answers"

    Args:
        name: what questions would call the object.
        others: names that the cast has already.
    """
    if not _NAME.fullmatch(name):
        return "a name is words in lower case, of the letters a to z"
    for word in name.split():
        if word in VOCABULARY and normalise(word) not in SHAPE_DISTANCES:
            return f"its word {word!r} is one of the benchmark's answers"
    for other in others:
        if normalise(other) == normalise(name):
            return "two objects have this name" if other == name else f"it means the same as {other!r}"
        if f" {other} " in f" {name} ":
            return f"a question about {other!r} would fit it too"
        if f" {name} " in f" {other} ":
            return f"a question about it would fit {other!r} too"
    return None


def read_cast(directory: Path) -> Cast:
    """Read a cast and look at each of its files.

    Raises:
        TaskError: it cannot be used; the message names the file, and the object.
    """
    path = directory / CAST_FILE
    try:
        found = CastFile.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise TaskError(f"{path}: cannot be read ({reason}); `vtbench cutouts` makes a cast") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TaskError(f"{path}: {where + ': ' if where else ''}{first['msg']}") from None
    names: list[str] = []
    for one in found.objects:
        if problem := name_problem(one.name, names):
            raise TaskError(f"{path}: {one.name!r}: {problem}")
        names.append(one.name)
    cutouts = tuple(_cutout(one, directory) for one in found.objects)
    shown: dict[tuple[str, tuple[int, ...]], str] = {}
    for cutout in cutouts:
        if (other := shown.setdefault((cutout.digest, cutout.box), cutout.name)) != cutout.name:
            raise TaskError(f"{path}: {cutout.name!r} has the same image as {other!r}: nobody could tell them apart")
    facts = "\n".join(f"{cutout.name} {cutout.digest} {cutout.box} {cutout.colour}" for cutout in cutouts)
    return Cast(found.objects, cutouts, hashlib.sha256(facts.encode()).hexdigest())


def as_cast(value: Any) -> Cast | None:
    """Return the cast of a directory that a task file names."""
    return value if value is None or isinstance(value, Cast) else read_named(value, read_cast)


def _cutout(one: CastObject, directory: Path) -> Cutout:
    path = directory / one.file
    if "\0" in one.file or path.resolve().parent != directory.resolve():
        raise TaskError(f"{directory / CAST_FILE}: {one.name!r}: {one.file!r} is not beside it")
    try:
        content = path.read_bytes()
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, Image.DecompressionBombError) as error:
        raise TaskError(f"{path}: the image of {one.name!r} cannot be read ({_reason(error)})") from None
    if width * height > MOST_PIXELS:
        raise TaskError(f"{path}: {width} x {height} pixels are larger than any scene; {MOST_PIXELS} are the most")
    left, top, right, bottom = one.box
    if not (left < right <= width and top < bottom <= height):
        raise TaskError(f"{path}: the box {list(one.box)} of {one.name!r} is not inside its {width} x {height} pixels")
    if max(right - left, bottom - top) < LEAST_SIDE:
        raise TaskError(f"{path}: the box {list(one.box)} of {one.name!r} is below {LEAST_SIDE} pixels a side")
    cutout = Cutout(one.name, str(path), hashlib.sha256(content).hexdigest(), one.box, one.colour)
    decoded(cutout)
    return cutout


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "no image file"
