"""Pictures of stored samples, made again from their task by index, as small data URIs; each kept once.

In: a run, a task's name, records. Out: where each record's pictures stand among those of the page, and what its scene
shows. The pictures of a page share one allowance of bytes, so that it stays small enough to send.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.engine.batching import prepare_sample
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.types import Record, Sample, Task

if TYPE_CHECKING:
    from PIL.Image import Image

SIDES = (160, 128, 96, 72, 48)
"""Longest sides of a photograph in pixels, the one to take first, and those for pages with many."""
FEW_COLOURS, PALETTE = 2048, 64
"""Up to so many colours a picture counts as drawn, and keeps its own size with a palette of so many."""
ALLOWANCE = 5_500_000
"""Bytes of all data URIs of a page together."""

CUES = ("colour", "shape", "texture")


@dataclass
class Album:
    """The pictures of a page: those of equal pixels are one."""

    expected: int = 1
    """How many there will be: each may take its share of the allowance."""
    uris: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def place(self, sha256: str, image: Image) -> int:
        """Return where a picture stands in `uris`."""
        if sha256 not in self._places:
            self._places[sha256] = len(self.uris)
            self.uris.append(data_uri(image, ALLOWANCE * 3 // 4 // max(1, self.expected)))
        return self._places[sha256]


@dataclass(frozen=True, slots=True)
class Seen:
    """A sample as the model saw it: where its pictures are in the album, and the words of its scene by cue."""

    pictures: tuple[int, ...] = ()
    cues: tuple[tuple[str, str], ...] = ()


class Pictures:
    """The pictures of one task of a run; none, with a note that says why, where the task cannot be loaded any more.

    Args:
        run: run.json.
        name: the task's.
        album: takes the pictures.
        task: the task itself where it is at hand. Loaded again, it runs no code, whatever run.json says.
    """

    def __init__(self, run: dict[str, Any], name: str, album: Album, task: Task | None = None) -> None:
        self.note = ""
        self._task = task
        self._size = run["model"].get("image_size")
        self._album = album
        if task is None:
            try:
                self._task = _loaded(run["tasks"][name]["file"], run["config"])
            except VtbenchError as error:
                self.note = f"Without pictures, as the task cannot be loaded: {error}"

    def of(self, record: Record) -> Seen:
        """Return a sample's pictures and cues; nothing if they are no longer those that the model saw."""
        if self._task is None or record.index >= len(self._task) or not record.image_sha256:
            return Seen()
        made = prepare_sample(self._task, record.index, self._size)
        if not isinstance(made.sample, Sample) or made.image_sha256 != record.image_sha256:
            self.note = "Some pictures are not shown: the task's pictures have changed since the run."
            return Seen()
        places = zip(made.image_sha256, made.sample.images, strict=True)
        return Seen(tuple(self._album.place(sha256, image) for sha256, image in places), cues(made.sample))


def _loaded(place: str, config: Mapping[str, Any]) -> Task:
    from vtbench.task.loading import load_task
    from vtbench.task.locations import open_task, split_location

    if split_location(place):
        return open_task(place, Registry(warn=lambda text: None), split=config["split"], seed=config["seed"])
    return load_task(Path(place), [Path(place).parent], split=config["split"], seed=config["seed"])


def cues(sample: Sample) -> tuple[tuple[str, str], ...]:
    """Return what the objects of a sample's scene look like, as (cue, word), each once; nothing without a scene."""
    things = sample.scene.things if sample.scene is not None else ()
    return tuple(
        dict.fromkeys((cue, getattr(thing, cue)) for cue in ("colour", "shape", "texture") for thing in things)
    )


def data_uri(image: Image, most: int = ALLOWANCE) -> str:
    """Return a picture as a data URI of at most `most` bytes before base64, or the smallest that can be made.

    Drawn pictures keep their size, in PNG with a palette; photographs become WebP of at most 160 pixels a side.

    >>> from PIL import Image
    >>> data_uri(Image.new("RGB", (8, 8)))[:22]
    'data:image/png;base64,'
    """
    from PIL.Image import Dither, Quantize

    image = image.convert("RGB")
    if image.getcolors(FEW_COLOURS):
        coded = _encoded(image.quantize(PALETTE, method=Quantize.FASTOCTREE, dither=Dither.NONE), "png", optimize=True)
        if len(coded) <= most:
            return _uri("png", coded)
    for side in SIDES:
        small = image.copy()
        small.thumbnail((side, side))
        coded = _encoded(small, "webp", quality=75, method=2)
        if len(coded) <= most:
            break
    return _uri("webp", coded)


def _encoded(image: Image, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def _uri(kind: str, coded: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(coded).decode('ascii')}"
