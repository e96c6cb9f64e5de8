"""Candidates of a file in the format of COCO: the largest objects of each category, by their polygons or masks."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from vtbench.errors import install_command
from vtbench_cutouts.candidates import Candidate
from vtbench_cutouts.errors import CutoutError

LOOKED_AT = 20
"""Objects of a category, from the largest on, that are considered."""


def coco_candidates(path: Path, images: Path, licence: str | None = None) -> Iterator[Candidate]:
    """Yield the largest objects of each category.

    Args:
        path: a JSON file with `images`, `annotations` (polygons, or run lengths as lists or compressed) and
            `categories`.
        images: the directory with the images that it names.
        licence: of all images; without it, what the file says of each.

    Raises:
        CutoutError: the file cannot be read, is no such file, or pycocotools is not installed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {image["id"]: image for image in content["images"]}
        categories = {one["id"]: one for one in content["categories"]}
        licences = {one["id"]: one.get("name", "") for one in content.get("licenses") or ()}
        found: dict[Any, list[dict[str, Any]]] = {}
        for annotation in content["annotations"]:
            if not annotation.get("iscrowd"):
                found.setdefault(annotation["category_id"], []).append(annotation)
        for number in found:
            if number not in categories:
                raise CutoutError(f"{path}: there is no category {number}, which annotations name")
    except OSError as error:
        raise CutoutError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CutoutError(f"{path}: is no file in the format of COCO ({type(error).__name__}: {error})") from None
    _masks()
    for number in sorted(found, key=str):
        category = categories[number]
        for one in sorted(found[number], key=_area, reverse=True)[:LOOKED_AT]:
            image = files.get(one.get("image_id"), {})
            file = images / str(image.get("file_name", f"image {one.get('image_id')}"))
            yield Candidate(
                name=str(category.get("name") or "").lower(),
                group=str(category.get("supercategory", "")),
                where=f"{file}, annotation {one.get('id')}",
                source=str(image.get("coco_url") or path.name),
                licence=licence or licences.get(image.get("license"), ""),
                load=partial(_cut_out, file, one.get("segmentation")),
                framed=True,
            )


def _area(annotation: dict[str, Any]) -> float:
    """Return the area of an annotation, of its box where it does not say."""
    area, box = annotation.get("area"), annotation.get("bbox")
    if isinstance(area, int | float):
        return float(area)
    sides = box[2:] if isinstance(box, list) and len(box) == 4 else []
    return float(sides[0] * sides[1]) if sides and all(isinstance(side, int | float) for side in sides) else 0.0


def _cut_out(file: Path, segmentation: Any) -> Image.Image:
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise CutoutError(getattr(error, "strerror", None) or "is no image") from None
    mask = _mask(segmentation, image.height, image.width)
    # The edge is soft and lies inside the mask, so that little of what is behind the object comes with it.
    soft = np.asarray(Image.fromarray(mask * np.uint8(255)).filter(ImageFilter.GaussianBlur(0.8)), dtype=np.int16)
    image.putalpha(Image.fromarray(np.clip(2 * soft - 255, 0, 255).astype(np.uint8) * mask))
    return image


def _masks() -> Any:
    """Return pycocotools' module of masks.

    Raises:
        CutoutError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError:
        raise CutoutError(f"COCO's masks need pycocotools: {install_command('coco')}") from None
    return mask


def _mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return the mask of an annotation, (height, width) uint8 of 0 and 1."""
    if isinstance(segmentation, dict):
        return mask_of_runs(segmentation, height, width)
    masks = _masks()
    try:
        found = np.asarray(masks.decode(masks.merge(masks.frPyObjects(segmentation, height, width))), dtype=np.uint8)
    except Exception as error:  # pycocotools raises whatever its C code finds
        raise CutoutError(f"its segmentation is neither polygons nor a mask ({type(error).__name__})") from None
    return found


def mask_of_runs(coded: dict[str, Any], height: int, width: int) -> np.ndarray:
    """Return a mask of run lengths, column by column, beginning with what is no part of the object.

    They are decoded here, since pycocotools fills what runs that end early leave with whatever is in memory, and ends
    the process where it cannot allocate the size that a file claims.
    """
    size, counts = coded.get("size"), coded.get("counts") or ""
    if size != [height, width]:
        raise CutoutError(f"its mask says the size {size!r:.60} (height, width), and its image has [{height}, {width}]")
    try:
        runs = _uncompressed(counts) if isinstance(counts, str) else [operator.index(run) for run in counts]
    except (TypeError, IndexError, ValueError):
        raise CutoutError("its segmentation is neither polygons nor a mask (broken run lengths)") from None
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise CutoutError(f"the run lengths of its mask do not add up to its {height} x {width} pixels")
    return np.repeat(np.arange(len(runs), dtype=np.uint8) % 2, runs).reshape(width, height).T


def _uncompressed(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed form: six bits a character, from the third run on differences.

    Its source is `rleFrString` of pycocotools' maskApi.c.
    """
    runs: list[int] = []
    value = shift = 0
    for code in (ord(letter) - 48 for letter in text):
        if not 0 <= code < 64 or shift > 60:
            raise ValueError(text)
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError(text)
    return runs
