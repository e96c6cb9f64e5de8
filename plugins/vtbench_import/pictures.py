"""What a picture column or code gives in, RGB pictures out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from vtbench.errors import SampleError
from vtbench_import.rows import Row


def opened(value: Any, folder: Path) -> list[Image.Image]:
    """Return the pictures of a cell: bytes, a path from `folder`, a picture, `{bytes, path}`, or a list of these.

    Raises:
        SampleError: one of them cannot be read.
    """
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [picture for one in value for picture in opened(one, folder)]
    if isinstance(value, Image.Image):
        return [value.convert("RGB")]
    content = _content(value)
    if not isinstance(content, bytes | str):
        raise SampleError(f"not a picture: {type(value).__name__}; a path, bytes, or {{bytes, path}} is one")
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else folder / content) as image:
            return [image.convert("RGB")]
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as problem:
        what = "a picture" if isinstance(content, bytes) else f"the picture {content}"
        raise SampleError(f"cannot read {what}: {problem}") from None


def document(row: Row, folder: Path) -> dict[str, Any]:
    """Return a row as a harness shows it to code: cells that hold pictures are pictures of PIL."""
    return {name: _shown(cell, folder) for name, cell in row.items()}


def _shown(cell: Any, folder: Path) -> Any:
    if isinstance(cell, list) and cell and all(_is_picture(one) for one in cell):
        return [picture for one in cell for picture in opened(one, folder)]
    return opened(cell, folder)[0] if _is_picture(cell) else cell


def _is_picture(cell: Any) -> bool:
    return isinstance(cell, Mapping) and cell.keys() == {"bytes", "path"} and any(cell.values())


def _content(value: Any) -> Any:
    """How `datasets` writes a picture: its bytes, or where it is."""
    return (value.get("bytes") or value.get("path")) if isinstance(value, Mapping) else value
