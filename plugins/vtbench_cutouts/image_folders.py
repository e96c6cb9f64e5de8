"""Candidates of directories of PNG files with alpha: one's own, or the stamps of Tux Paint.

A file of one's own is called by what it shows, and lies in a directory called by its group: `animals/polar_bear_2.png`.
Debian's package tuxpaint-stamps-default installs its files under /usr/share/tuxpaint/stamps; beside each lies a text
file whose first line is a sentence in English: `An owl.`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from vtbench_cutouts.candidates import Candidate
from vtbench_cutouts.errors import CutoutError

_CAPTION = re.compile(r"(?:an?|the)\s+([a-z]+(?:[ -][a-z]+)?)\s*[.!]?", re.IGNORECASE)
STAMPS_SOURCE = "tuxpaint-stamps-default"
STAMPS_LICENCE = "GPL-2.0"


def png_candidates(directory: Path, licence: str | None = None) -> Iterator[Candidate]:
    """Yield the PNG files of a directory and of those in it, called by their names without numbers."""
    for path in _files(directory):
        name = " ".join(re.split(r"[\W_]+", re.sub(r"[\W_]*\d*$", "", path.stem).lower())).strip()
        group = path.parent.name if path.parent != directory else ""
        yield Candidate(name, group, str(path), directory.name, licence or "", partial(_open, path))


def stamp_candidates(directory: Path, licence: str | None = None) -> Iterator[Candidate]:
    """Yield the stamps whose caption names one object in a word or two; the others with the caption as name."""
    for path in _files(directory):
        caption = _caption(path)
        found = _CAPTION.fullmatch(caption)
        name = found[1].lower().replace("-", " ") if found else caption
        yield Candidate(
            name,
            path.relative_to(directory).parts[0],
            str(path),
            STAMPS_SOURCE,
            licence or STAMPS_LICENCE,
            partial(_open, path),
            photographed=True,
        )


def has_captions(directory: Path) -> bool:
    """Return whether a text file lies beside a PNG file of a directory, as stamps have it."""
    return any(path.with_suffix(".txt").is_file() for path in directory.rglob("*.png"))


def _files(directory: Path) -> list[Path]:
    files = sorted(path for path in directory.rglob("*") if path.suffix.lower() == ".png" and path.is_file())
    if not files:
        raise CutoutError(f"{directory}: no PNG files in it")
    return files


def _caption(path: Path) -> str:
    """Return the first line of the text beside a stamp; empty if there is none."""
    try:
        lines = path.with_suffix(".txt").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGBA")
    except (OSError, Image.DecompressionBombError) as error:
        raise CutoutError(getattr(error, "strerror", None) or "is no image") from None
