"""What scores carry beside their value, as figures: a matrix becomes a heat map, a list of rows a table.

In: scores as stored. Out: figures for the template, of the details called `map` (rows of numbers, equally long) and
`curve` (rows with the same keys).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

PALE, STRONG = (247, 247, 244), (23, 74, 150)
"""Colours of the smallest and the largest value."""
SIDE = 384
"""Longest side of a heat map in pixels, unless it has more cells."""


def figures(scores: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return heat maps and curves in the order of the scores."""
    found: list[dict[str, Any]] = []
    for name, score in scores.items():
        matrix, curve = score["detail"].get("map"), score["detail"].get("curve")
        if matrix and matrix[0]:
            values = [value for row in matrix for value in row]
            found.append(
                {"name": name, "rows": len(matrix), "columns": len(matrix[0]), "low": min(values), "high": max(values)}
                | {"uri": heat_map(matrix)}
            )
        if curve:
            found.append({"name": name, "keys": list(curve[0]), "curve": curve})
    return found


def heat_map(rows: Sequence[Sequence[float]]) -> str:
    """Return a PNG data URI of a matrix: pale for its smallest value, strong for its largest.

    >>> heat_map([[0.0, 1.0], [1.0, 0.0]])[:22]
    'data:image/png;base64,'
    """
    low = min(value for row in rows for value in row)
    span = max(value for row in rows for value in row) - low or 1.0
    shades = bytes(
        round(pale + (strong - pale) * (value - low) / span)
        for row in rows
        for value in row
        for pale, strong in zip(PALE, STRONG, strict=True)
    )
    image = Image.frombytes("RGB", (len(rows[0]), len(rows)), shades)
    scale = max(1, SIDE // max(image.size))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
