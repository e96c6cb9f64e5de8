"""Opens images: the one place where a user's image becomes the RGB image that a model sees.

    path, bytes, data: URI, base64, {bytes, path}, PIL image -> upright RGB image, and the mode that it was stored in

An image is turned upright (EXIF), composited on a plain ground where it is transparent, and scaled to 8 bits by the
range of its mode. Of an animation, the first frame counts. Whatever cannot be opened is a `SampleError` of one line,
and never an image that lacks what a viewer would show.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from urllib.request import url2pathname

import numpy as np
from PIL import Image, ImageOps

from vtbench.errors import SampleError, escaped
from vtbench.task.files import check_file, stand_in

_SHOWN = 100
"""Characters of a name that a message shows."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+={0,2}\s*")
_SHORTEST_BASE64 = 40
"""Characters; no image is shorter."""
_LONGEST_PATH = 4096
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"P5", b"P6")
"""First bytes of the formats of base64 texts: a long path of letters and slashes is base64 too, of nothing."""
_FOREIGN = (
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "it is EPS, which only Ghostscript draws; save it as PNG"),
    (re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.S), "it is HEIC, which Pillow does not read; save it as JPEG"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", re.S), "it is SVG, a drawing; save it as PNG"),
    (re.compile(rb"%PDF"), "it is PDF, a document; save its page as PNG"),
)
INK_SHARE, NEAR = 0.02, 32
"""A ground hides a drawing if more than this share of its ink is within this number of levels of it."""
_GREYS = (128, 64, 192)


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image as a model sees it."""

    image: Image.Image
    """RGB, upright, 8 bits a channel, in the size that it was stored in."""
    mode: str
    """Pillow's name of the mode that it was stored in, e.g. `RGB`, `RGBA`, `I;16`."""


def open_image(source: Any, folder: Path) -> OpenedImage:
    """Open an image.

    Args:
        source: a path, the bytes of a file, a `data:` URI, base64, `{bytes, path}` as `datasets` writes it, or an image
            of Pillow's.
        folder: what a path is relative to.

    Raises:
        SampleError: there is no image, or it cannot be opened; the line says why, without the image's own bytes.
    """
    name = "an image"
    try:
        if isinstance(source, Image.Image):
            return _opened(source)
        content = _located(source, folder)
        if isinstance(content, Path):
            name = f"the image {_short(str(source.get('path') if isinstance(source, Mapping) else source))}"
            check_file(content)
            with content.open("rb") as file:
                return _decode(file)
        if not content:
            raise SampleError("there are no bytes in it")
        return _decode(io.BytesIO(content))
    except SampleError as error:
        raise SampleError(f"cannot read {name}: {error}") from None
    except MemoryError:
        raise SampleError(f"cannot read {name}: it does not fit into memory") from None
    except Exception as error:  # each of Pillow's formats fails in its own ways on a broken file
        reason = escaped(" ".join(str(getattr(error, "strerror", None) or error).split())) or type(error).__name__
        raise SampleError(f"cannot read {name}: {reason:.300}") from None


def images_in(cell: Any) -> list[Any]:
    """Return the images of a cell, which holds one or a list of them, in the forms that `open_image` takes."""
    if cell is None:
        return []
    return list(cell) if isinstance(cell, list | tuple) else [cell]


def image_path(source: Any, folder: Path) -> Path | None:
    """Return the file that an image is read from; None if its bytes are given, or if it is no image."""
    text = source.get("bytes") or source.get("path") if isinstance(source, Mapping) else source
    if isinstance(text, str) and len(text) >= _LONGEST_PATH:
        return None
    try:
        content = _located(source, folder)
    except (SampleError, OSError, ValueError):
        return None
    return content if isinstance(content, Path) else None


def _short(text: str) -> str:
    text = escaped(" ".join(text.split()))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def _located(source: Any, folder: Path) -> bytes | Path:
    """Return the bytes of an image, or its path."""
    if isinstance(source, Mapping):
        given = source.get("bytes") or source.get("path")
        if given is None:
            keys = ", ".join(map(repr, sorted(map(str, source))))
            raise SampleError(f"an image object has `bytes` or `path`, but this one {_short(keys) or 'nothing'}")
        source = given
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, Path):
        return folder / source
    if isinstance(source, str):
        return _located_text(source, folder)
    raise SampleError(f"an image is a path, bytes, or {{bytes, path}}, but this is of type {type(source).__name__}")


def _located_text(text: str, folder: Path) -> bytes | Path:
    if not text.strip():
        raise SampleError("there is no path")
    if text[:16].lstrip().lower().startswith("data:"):
        header, comma, body = text.partition(",")
        if not comma:
            raise SampleError("its data: URI has no comma before the content")
        return _from_base64(body) if ";base64" in header.lower() else unquote_to_bytes(body)
    if scheme := _SCHEME.match(text):
        if scheme[1].lower() == "file":
            return Path(url2pathname(text[scheme.end() :].removeprefix("localhost")))
        raise SampleError("images are read from files, not from the network; download it, and give its path")
    path = folder / text
    if len(text) < _SHORTEST_BASE64 or not _BASE64.fullmatch(text) or (len(text) < _LONGEST_PATH and _exists(path)):
        return path
    try:
        content = _from_base64(text)
    except SampleError:
        content = b""
    if content.startswith(_SIGNATURES):
        return content
    if len(text) >= _LONGEST_PATH:
        raise SampleError(f"a text of {len(text):,} characters is neither a path nor an image in base64")
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


def _from_base64(text: str) -> bytes:
    plain = re.sub(r"\s|%0[aAdD]|=|%3[dD]", "", text).replace("-", "+").replace("_", "/").replace("%2B", "+")
    plain = plain.replace("%2b", "+").replace("%2F", "/").replace("%2f", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SampleError("its content is not whole base64") from None


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats of Pillow that run no other program: EPS would start Ghostscript."""
    Image.init()
    return tuple(name for name in Image.ID if name != "EPS")


def _decode(file: Any) -> OpenedImage:
    head = file.read(512)
    file.seek(0)
    if wrong := stand_in(head):
        raise SampleError(wrong)
    for pattern, reason in _FOREIGN:
        if pattern.match(head):
            raise SampleError(reason)
    try:
        opened = Image.open(file, formats=_formats())
    except Image.UnidentifiedImageError:
        raise SampleError("it is no image, or of a format that Pillow does not know") from None
    with opened:
        if opened.format in ("JPEG", "MPO", "WEBP"):
            _refuse_zero_tail(file, opened.format)
        return _opened(opened)


def _refuse_zero_tail(file: Any, kind: str) -> None:
    """Refuse a JPEG or WebP whose rest is zeros, as a download that stopped leaves it: it decodes to a grey area.

    A whole JPEG ends in its end marker. A whole WebP of one colour ends in zeros, of up to 6 % of the file.
    """
    position = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(position)
    zeros = len(content) - len(content.rstrip(b"\0"))
    if kind == "WEBP":
        cut = zeros > max(16, len(content) // 8)
    else:
        cut = zeros >= 16 and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if cut:
        raise SampleError("its rest is zeros, as of a download that stopped; download it again")


def _opened(opened: Image.Image) -> OpenedImage:
    width, height = opened.size
    if not width or not height:
        raise SampleError("it has no pixels")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise SampleError(f"{width} x {height} pixels are more than {Image.MAX_IMAGE_PIXELS:,}; make it smaller")
    mode = opened.mode
    opened.load()
    upright: Image.Image = opened
    try:
        upright = ImageOps.exif_transpose(opened)
    except Exception:  # EXIF that cannot be read turns nothing, as in a viewer
        upright = opened
    return OpenedImage(_to_rgb(upright, opened), mode)


def _to_rgb(image: Image.Image, stored: Image.Image) -> Image.Image:
    """Return an RGB image of 8 bits; `stored` is the image as it was opened, which knows its format."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image, stored)
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _composited(image.convert("RGBA"))
    return image.convert("RGB")


def _scaled(image: Image.Image, stored: Image.Image) -> Image.Image:
    """Return a grey image of more than 8 bits with its range brought to 0..255.

    16 bits are scaled by their own range, 12 bits of TIFF by theirs. Floats in [0, 1] are scaled by that range, and
    32-bit integers in [0, 255] are taken as they are; other values of both by the image's own lowest and highest.
    """
    values = np.asarray(image).astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise SampleError("none of its values is a number")
    low, high = float(values[finite].min()), float(values[finite].max())
    tags: Mapping[int, Any] = getattr(stored, "tag_v2", {})
    if image.mode.startswith("I;16"):
        low, high = 0.0, 4095.0 if tuple(tags.get(258, ())) == (12,) else 65535.0
    elif image.mode == "I" and stored.format in ("PNG", "PPM"):  # as Pillow holds 16 bits of these
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= (1 if image.mode == "F" else 255):
        low, high = 0.0, 1.0 if image.mode == "F" else 255.0
    scaled = np.clip((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1.0), 0, 1)
    if tags.get(262) == 0:  # photometric: white is zero, as in X-rays
        scaled = 1 - scaled
    grey = Image.fromarray(np.rint(scaled * 255).astype(np.uint8))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
        return _composited(grey.convert("RGBA"))
    return grey.convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    change = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    made = ImageCms.applyTransform(image, change)
    if made is None:
        raise SampleError("its LAB colours cannot be converted")
    return made


def _composited(image: Image.Image) -> Image.Image:
    """Return an RGBA image on a plain ground: white, unless its ink would vanish there.

    Ink is what is not transparent, weighted by opacity. White is the ground if at most 2 % of the ink is near white;
    else black, if at most 2 % is near black; else the grey of three that least of the ink is near.
    """
    pixels = np.asarray(image)
    alpha = pixels[..., 3]
    total = int(alpha.sum(dtype=np.int64))
    if not total:
        raise SampleError("it is wholly transparent, so that nothing is to be seen on it")
    if alpha.min() == 255:
        return image.convert("RGB")

    def hidden(level: int) -> float:
        low, high = max(0, level - NEAR), min(255, level + NEAR)
        near = ((pixels[..., :3] >= low) & (pixels[..., :3] <= high)).all(-1)
        return int(alpha[near].sum(dtype=np.int64)) / total

    ground = next((level for level in (255, 0) if hidden(level) <= INK_SHARE), None)
    if ground is None:
        ground = min(_GREYS, key=hidden)
    under = Image.new("RGBA", image.size, (ground, ground, ground, 255))
    return Image.alpha_composite(under, image).convert("RGB")
