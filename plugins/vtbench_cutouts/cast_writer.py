"""Writes a cast: candidates -> PNG files, cast.json, dropped.json and a contact sheet."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vtbench.scenes.cast import CAST_FILE, CastObject, name_problem, read_cast
from vtbench_cutouts.candidates import Candidate, article, plural
from vtbench_cutouts.contact_sheet import contact_sheet
from vtbench_cutouts.errors import CutoutError
from vtbench_cutouts.selection import OPAQUE, image_problem

LONGEST_SIDE = 256
"""Of a written file, in pixels: twice as many as an object has in an image of 448 x 448."""
MOST_WORDS = 2
"""Of a name."""
SHEET, DROPPED = "contact_sheet.png", "dropped.json"


@dataclass(frozen=True)
class Dropped:
    """A candidate that is not in the cast."""

    name: str
    where: str
    reason: str


@dataclass(frozen=True)
class CastResult:
    """What was written."""

    path: str
    objects: tuple[CastObject, ...]
    dropped: tuple[Dropped, ...]
    digest: str

    @property
    def reasons(self) -> dict[str, int]:
        """How many were dropped for each reason, without what it says of one object; most first."""
        kinds = (re.sub(r"'[^']*'", "'...'", one.reason.partition(":")[0]) for one in self.dropped)
        return dict(Counter(kinds).most_common())


def make_cast(
    candidates: Iterable[Candidate], output: Path, limit: int | None = None, leave_out: Collection[str] = ()
) -> CastResult:
    """Write the candidates that suit as a cast; the first of each name, shorter names first.

    Args:
        candidates: of one source.
        output: directory to create; it must not exist, or be empty.
        limit: most objects of the cast.
        leave_out: names that a look at the contact sheet has ruled out.

    Raises:
        CutoutError: fewer than two candidates suit, or the directory cannot be written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CutoutError(f"{output}: there is something already; choose another --output")
    objects: list[CastObject] = []
    dropped: list[Dropped] = []
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # Beside the output, so that a killed command leaves no half of a cast under its name.
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as temporary:
            folder = Path(temporary) / output.name  # in a directory that others may read
            folder.mkdir()
            for candidate in sorted(candidates, key=lambda one: one.name.count(" ")):
                try:
                    if candidate.name in leave_out:
                        raise CutoutError("left out by name")
                    objects.append(_write(candidate, objects, folder, limit))
                except CutoutError as error:
                    dropped.append(Dropped(candidate.name, candidate.where, str(error)))
            if len(objects) < 2:
                why = (
                    "; ".join(f"{one.name or one.where}: {one.reason}" for one in dropped[:3]) or "there are no others"
                )
                raise CutoutError(f"{output}: a cast needs two objects, and {len(objects)} suit ({why})")
            _write_lists(objects, dropped, folder)
            contact_sheet(objects, folder).save(folder / SHEET)
            folder.replace(output)
    except OSError as error:
        raise CutoutError(f"{output}: cannot be written ({error.strerror})") from None
    return CastResult(str(output), tuple(objects), tuple(dropped), read_cast(output).digest)


def _write(candidate: Candidate, objects: list[CastObject], folder: Path, limit: int | None) -> CastObject:
    """Write the file of a candidate that suits.

    Raises:
        CutoutError: why it does not.
    """
    names = [one.name for one in objects]
    if len(candidate.name.split()) > MOST_WORDS:
        raise CutoutError(f"no name: it is called by more than {MOST_WORDS} words")
    if problem := name_problem(candidate.name, names):
        raise CutoutError(problem)
    if limit is not None and len(names) >= limit:
        raise CutoutError("the cast has as many objects as --limit allows")
    image = candidate.load()
    if problem := image_problem(image, candidate.framed, candidate.photographed):
        raise CutoutError(problem)
    cut = _trimmed(image)
    for other in objects:
        with Image.open(folder / other.file) as same:
            if same.size == cut.size and same.tobytes() == cut.tobytes():
                raise CutoutError(f"its image is that of {other.name!r}")
    file = f"{candidate.name.replace(' ', '_')}.png"
    cut.save(folder / file, optimize=True)
    pixels = np.asarray(cut)
    opaque = pixels[pixels[..., 3] >= OPAQUE][:, :3]
    red, green, blue = (int(value) for value in opaque.mean(axis=0, dtype=np.float64).round())
    return CastObject(
        name=candidate.name,
        article=article(candidate.name),
        plural=plural(candidate.name),
        group=candidate.group,
        file=file,
        box=_box(cut),
        colour=(red, green, blue),
        source=candidate.source,
        licence=candidate.licence,
    )


def _box(image: Image.Image) -> tuple[int, int, int, int]:
    """Return the box of the opaque pixels, with a pixel around them for the soft edge where there is one."""
    mask = np.asarray(image)[..., 3] >= OPAQUE
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = max(0, int(columns[0]) - 1), max(0, int(rows[0]) - 1)
    return left, top, min(image.width, int(columns[-1]) + 2), min(image.height, int(rows[-1]) + 2)


def _trimmed(image: Image.Image) -> Image.Image:
    """Return the object alone, at most `LONGEST_SIDE` pixels long."""
    cut = image.crop(_box(image))
    scale = LONGEST_SIDE / max(cut.size)
    if scale >= 1:
        return cut
    return cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))), Image.Resampling.LANCZOS)


def _write_lists(objects: list[CastObject], dropped: list[Dropped], folder: Path) -> None:
    lines = ",\n".join(json.dumps(one.model_dump(mode="json"), ensure_ascii=False) for one in objects)
    (folder / CAST_FILE).write_text(f'{{"objects": [\n{lines}\n]}}\n', encoding="utf-8")
    left_out = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in dropped)
    (folder / DROPPED).write_text(f"[\n{left_out}\n]\n", encoding="utf-8")
