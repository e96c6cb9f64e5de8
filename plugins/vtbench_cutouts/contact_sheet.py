"""Draws the contact sheet of a cast: every object with its name, to be looked at before a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vtbench.scenes.cast import CastObject

SIDE, TEXT, GAP, COLUMNS = 112, 16, 8, 10
GREY = (176, 180, 178)


def contact_sheet(objects: Sequence[CastObject], folder: Path) -> Image.Image:
    """Return a sheet of the objects on grey, RGB, 10 a row.

    Args:
        objects: of a cast.
        folder: where their files are.
    """
    rows = -(-len(objects) // COLUMNS)
    size = (COLUMNS * (SIDE + GAP) + GAP, rows * (SIDE + TEXT + GAP) + GAP)
    sheet = Image.new("RGB", size, GREY)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, one in enumerate(objects):
        x, y = GAP + number % COLUMNS * (SIDE + GAP), GAP + number // COLUMNS * (SIDE + TEXT + GAP)
        with Image.open(folder / one.file) as file:
            image = file.convert("RGBA")
        image.thumbnail((SIDE, SIDE))
        sheet.paste(image, (x + (SIDE - image.width) // 2, y + (SIDE - image.height) // 2), image)
        draw.text((x, y + SIDE), f"{one.article} {one.name}".strip(), "black", font)
    return sheet
