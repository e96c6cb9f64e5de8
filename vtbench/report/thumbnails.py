"""Small copies of the images of a page, as data URIs.

The images of a page share one allowance of bytes, so that the page stays small enough to send.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vtbench.report.page import DataUri

if TYPE_CHECKING:
    from PIL.Image import Image

ALLOWANCE = 5_500_000
"""Total bytes of the data URIs of a page."""
SIDES = (224, 160, 128, 96, 72, 48)
"""Longest sides of thumbnails in pixels; the first that fits the limit of bytes is taken."""
TINY = 64
"""Images of at most this side keep their pixels exactly."""
BYTES_PER_PIXEL = 0.1
"""Lower bound for a JPEG of a simple image: sizes that certainly exceed the limit are not tried."""
QUALITY = 70


def byte_limit(count: int) -> int:
    """Return how many bytes a thumbnail may take, before base64, on a page of `count` images."""
    return ALLOWANCE * 3 // 4 // max(1, count)


def thumbnail(image: Image, limit: int = ALLOWANCE) -> str:
    """Return a small copy of an image as a data URI.

    Args:
        image: any image.
        limit: bytes that it may take before base64. If none of the sizes fits, the smallest is returned.

    >>> from PIL import Image
    >>> thumbnail(Image.new("RGB", (8, 8)))[:22]
    'data:image/png;base64,'
    """
    image = image.convert("RGB")
    longest = max(image.size)
    if longest <= TINY:
        coded = _encoded(image, "png", compress_level=6)
        if len(coded) <= limit:
            return _data_uri("png", coded)
    for side in SIDES:
        factor = -(-longest // side)
        if side != SIDES[-1] and image.width * image.height / factor**2 * BYTES_PER_PIXEL > limit:
            continue
        # `reduce` averages whole blocks: several times as fast as a resize to an exact size.
        small = image.reduce(factor) if factor > 1 else image
        coded = _encoded(small, "jpeg", quality=QUALITY)
        if len(coded) <= limit:
            break
    return _data_uri("jpeg", coded)


def _encoded(image: Image, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def _data_uri(kind: str, coded: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(coded).decode('ascii')}"


@dataclass
class Album:
    """The images of a page, each distinct one once."""

    uris: list[str] = field(default_factory=list)
    _positions: dict[str, int] = field(default_factory=dict)

    def add(self, sha256: str, uri: str) -> int:
        """Return the position of an image in `uris`; it is added if no image with these pixels is there."""
        if sha256 not in self._positions:
            self._positions[sha256] = len(self.uris)
            self.uris.append(DataUri(uri))
        return self._positions[sha256]
