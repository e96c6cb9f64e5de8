"""A directory of image files as `Rows` (n, H, W, 3) uint8."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from vtbench.errors import SampleError
from vtbench.task.images import open_image
from vtbench_redundancy.errors import InputError, file_errors
from vtbench_redundancy.inputs.array_files import open_array
from vtbench_redundancy.inputs.rows import Rows

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif"})


def open_images(place: str | Path) -> Rows:
    """Open a directory of images, or an array of them; they are read when they are asked for.

    The images are sorted by name, character by character: `10.png` comes before `2.png`, so write numbers with
    leading zeros. Files of other kinds, hidden files and directories inside are passed over. Images of another size
    than the first are brought to it (bicubic), whatever their shape; each is upright, on a plain ground where it is
    transparent, and scaled to 8 bits, as those of tasks (`vtbench.task.images`).

    Args:
        place: a directory, or what `open_array` takes.

    Returns:
        (n, H, W, 3) uint8 with the first image's H and W; of a file, the array as it is stored.

    Raises:
        InputError: a directory without images, or an image that cannot be read (the first one now, the others when
            their turn comes); or what `open_array` finds.
    """
    if not os.path.isdir(place):
        return open_array(place)
    paths = image_paths(Path(place))
    width, height = _image(paths[0]).size
    return Rows((len(paths), height, width, 3), np.dtype(np.uint8), partial(_read, paths, (width, height)))


def image_paths(directory: Path) -> list[Path]:
    """Return the images of a directory, sorted by name.

    Raises:
        InputError: it has none, or cannot be read.
    """
    with file_errors(directory):
        found = [path for path in directory.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    if not found:
        raise InputError(f"{directory}: no images in it; wanted files such as 0001.png, .jpg or .webp")
    return sorted(found, key=lambda path: path.name)


def _read(paths: Sequence[Path], size: tuple[int, int], start: int, stop: int) -> np.ndarray:
    images = np.empty((stop - start, size[1], size[0], 3), np.uint8)
    for row, path in zip(images, paths[start:stop], strict=True):
        image = _image(path)
        row[:] = np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BICUBIC))
    return images


def _image(path: Path) -> Image.Image:
    try:
        return open_image(path.absolute(), path.parent).image  # a relative one would be taken relative to its folder
    except SampleError as error:
        reason = str(error).partition(": ")[2]
        raise InputError(f"{path}: not a whole image ({reason}); save it again or take it out") from error
