"""Previews of samples for the report: thumbnails, and the attributes of the objects in the scene.

A run writes them to `visual/<task>.previews` while the images are in memory (`PreviewMaker` in the worker,
`PreviewWriter` in the process that writes the run). For a sample without a stored preview, as in runs of older
versions, the image is made again from the task, by index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vtbench.errors import SampleError, VtbenchError
from vtbench.report.thumbnails import ALLOWANCE, byte_limit, thumbnail
from vtbench.types import Preview, Record, Sample, Task

SHOWN = 2000
"""Samples on one page; of more, every task has its share."""
CUES = ("colour", "shape", "texture")


def cues(sample: Sample) -> tuple[tuple[str, str], ...]:
    """Return the attributes of the objects in a sample's scene as (cue, word), each once; nothing without a scene."""
    objects = sample.scene.objects if sample.scene is not None else ()
    return tuple(dict.fromkeys((cue, getattr(obj, cue)) for cue in CUES for obj in objects))


def preview(sample: Sample, image_sha256: Sequence[str], limit: int = ALLOWANCE) -> Preview:
    """Return the preview of a sample, with at most `limit` bytes per image."""
    uris = (thumbnail(image, limit) for image in sample.images)
    return Preview(sample.index, tuple(zip(image_sha256, uris, strict=True)), cues(sample))


def evenly_spaced(length: int, count: int) -> range | list[int]:
    """Return `count` positions in a sequence of this length, evenly spaced; all if there are no more.

    >>> evenly_spaced(6, 3)
    [0, 2, 4]
    """
    return range(length) if count >= length else [i * length // count for i in range(count)]


def share_of(length: int, total: int, shown: int = SHOWN) -> int:
    """Return how many of a task's `length` samples a page shows, of a run with `total` samples; at least one."""
    return max(1, shown * length // max(shown, total))


class PreviewMaker:
    """Makes the previews of the samples that the report will show.

    Args:
        lengths: number of samples by task of the run.
    """

    def __init__(self, lengths: Mapping[str, int]) -> None:
        total = sum(lengths.values())
        self._shown = {
            task: frozenset(evenly_spaced(length, share_of(length, total))) for task, length in lengths.items()
        }
        self._limit = byte_limit(sum(map(len, self._shown.values())))

    def __call__(self, task: str, sample: Sample, image_sha256: Sequence[str]) -> Preview | None:
        """Return the preview of a sample; None if the report will not show it."""
        return preview(sample, image_sha256, self._limit) if sample.index in self._shown[task] else None


class PreviewWriter:
    """Appends a task's previews to its file, each distinct image once.

    Args:
        run: the run's directory.
        task: name of the task.

    Raises:
        OSError: as writing a file does; so does `append`.
    """

    def __init__(self, run: Path, task: str) -> None:
        path = previews_path(run, task)
        self._known = {sha256 for one in read_previews(run, task).values() for sha256, _ in one.images}
        path.parent.mkdir(exist_ok=True)
        self._file = FileIO(path, "ab")
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")  # ends a line that a killed run left unfinished

    def append(self, previews: Iterable[Preview]) -> None:
        """Write previews, whole lines at once."""
        lines = []
        for one in previews:
            images = []
            for sha256, uri in one.images:
                images.append([sha256] if sha256 in self._known else [sha256, uri])
                self._known.add(sha256)
            line = {"index": one.index, "images": images, "cues": one.cues}
            lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        rest = "".join(lines).encode()
        while rest:  # the file is unbuffered: on a nearly full disk, `write` may take only a part
            rest = rest[self._file.write(rest) or 0 :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def previews_path(run: Path, task: str) -> Path:
    """Return where the previews of a task of the run in directory `run` are."""
    return run / "visual" / f"{quote(task, safe='')}.previews"


def read_previews(run: Path, task: str) -> dict[int, Preview]:
    """Return the stored previews of a task by index. Lines that are not whole are left out."""
    try:
        lines = previews_path(run, task).read_bytes().split(b"\n")
    except OSError:
        return {}
    uris: dict[str, str] = {}
    found: dict[int, Preview] = {}
    for line in lines:
        try:
            stored = json.loads(line)
            uris |= {i[0]: i[1] for i in stored["images"] if len(i) > 1 and i[1].startswith("data:image/")}
            images = tuple((image[0], uris[image[0]]) for image in stored["images"])
            found[stored["index"]] = Preview(stored["index"], images, tuple((c, w) for c, w in stored["cues"]))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            continue  # a missing preview is made again
    return found


class PreviewSource:
    """The previews of one task of a run: stored ones, else made again; empty, with a note, if that is not possible.

    Args:
        run: run.json, with `path`.
        name: of the task.
        task: the task itself if it is loaded already. Else it is loaded when the first preview must be made, without
            running code that it brings, whatever run.json says.
        limit: bytes of a thumbnail that is made here.
    """

    def __init__(self, run: Mapping[str, Any], name: str, task: Task | None = None, limit: int = ALLOWANCE) -> None:
        self.note = ""
        self._run, self._name, self._task, self._limit = run, name, task, limit
        self._stored = read_previews(Path(run["path"]), name)
        self._made: dict[str, str] = {}

    def of(self, record: Record) -> Preview:
        """Return the preview of a sample; it is empty if the task's images differ from those that the model saw."""
        stored = self._stored.get(record.index)
        if stored is not None and tuple(sha256 for sha256, _ in stored.images) == record.image_sha256:
            return stored
        task = self._loaded() if record.image_sha256 else None
        if task is None or record.index >= len(task):
            return Preview(record.index)
        try:
            sample: Sample | None = task.sample(record.index, self._run["model"].get("image_size"))
        except SampleError:
            sample = None
        images = sample.images if sample is not None else ()
        if sample is None or tuple(hashlib.sha256(i.tobytes()).hexdigest() for i in images) != record.image_sha256:
            self.note = "Some images are not shown: the task's images have changed since the run."
            return Preview(record.index)
        for sha256, image in zip(record.image_sha256, images, strict=True):
            if sha256 not in self._made:
                self._made[sha256] = thumbnail(image, self._limit)
        return Preview(
            record.index, tuple((sha256, self._made[sha256]) for sha256 in record.image_sha256), cues(sample)
        )

    def _loaded(self) -> Task | None:
        if self._task is None and not self.note:
            try:
                self._task = _load(self._run["tasks"][self._name].get("file", ""), self._run["config"])
            except VtbenchError as error:
                self.note = f"Without images, as the task cannot be loaded: {error}"
        return self._task


def _load(location: str, config: Mapping[str, Any]) -> Task:
    from vtbench.registry import Registry
    from vtbench.task.locations import open_task

    return open_task(location, Registry(warn=lambda text: None), split=config.get("split"), seed=config.get("seed"))


def example_image(run: Mapping[str, Any], task: str, records: Iterable[Record]) -> str | None:
    """Return the first image of these records that can be shown, as a data URI; None if there is none."""
    source = PreviewSource(run, task)
    found = (source.of(record).images for record in records if record.error is None)
    return next((images[0][1] for images in found if images), None)
