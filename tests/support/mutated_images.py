"""Images as they come out of broken downloads, disks and tools: bytes changed in whole files of six formats."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

import numpy as np
from PIL import Image

FORMATS = {
    "PNG": {},
    "JPEG": {"quality": 80},
    "GIF": {},
    "WEBP": {"quality": 60},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}


def whole_images() -> dict[str, bytes]:
    """Return one image file of each format, and PNG and TIFF of other modes, by name."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), dtype=np.uint8)
    deep = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {}
    for name, settings in FORMATS.items():
        files[name] = _saved(Image.fromarray(pixels[..., :3]), name, **settings)
    files["PNG-RGBA"] = _saved(Image.fromarray(pixels), "PNG")
    files["PNG-P"] = _saved(Image.fromarray(pixels).quantize(16), "PNG")
    files["PNG-16"] = _saved(Image.fromarray(deep), "PNG")
    files["TIFF-F"] = _saved(Image.fromarray(deep.astype(np.float32)), "TIFF")
    files["JPEG-EXIF"] = _saved(Image.fromarray(pixels[..., :3]), "JPEG", exif=exif)
    files["GIF-FRAMES"] = _saved(
        Image.fromarray(pixels[..., :3]), "GIF", save_all=True, append_images=[Image.new("RGB", (32, 24))]
    )
    return files


def _saved(image: Image.Image, name: str, **settings: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **settings)
    return file.getvalue()


def mutated_images(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield broken image files with their names: bytes flipped, cut, zero-filled, repeated, or another's header.

    Args:
        count: number of files.
        seed: the same seed gives the same files.
    """
    draw, whole = random.Random(seed), whole_images()
    names = sorted(whole)
    for number in range(count):
        name = names[number % len(names)]
        content = bytearray(whole[name])
        how = ("flip", "header", "cut", "zero", "swap", "repeat", "insert")[number // len(names) % 7]
        if how == "flip":
            for _ in range(draw.choice((1, 2, 8, 64))):
                content[draw.randrange(len(content))] = draw.randrange(256)
        elif how == "header":
            for _ in range(draw.choice((1, 2, 4))):
                content[draw.randrange(min(len(content), 64))] = draw.randrange(256)
        elif how == "cut":
            del content[draw.randrange(len(content)) :]
        elif how == "zero":
            start = draw.randrange(len(content))
            content[start:] = bytes(len(content) - start)
        elif how == "swap":
            length = draw.choice((4, 8, 16, 32))
            content[:length] = whole[draw.choice(names)][:length]
        elif how == "repeat":
            start = draw.randrange(len(content))
            content[start:start] = content[start : start + draw.randrange(1, 200)]
        else:
            start = draw.randrange(len(content))
            content[start:start] = draw.randbytes(draw.choice((1, 4, 100)))
        yield f"{number}-{name}-{how}", bytes(content)
