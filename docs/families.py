"""Draw docs/families.png: the first items of every family, with question and answer.

python docs/families.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task

FAMILIES = ("coarse", "attribute", "relational", "scene_graph", "precise_offset", "occlusion")
SIDE, GAP, TEXT, COLUMNS = 150, 10, 66, 6


def main() -> None:
    """Write the figure."""
    files = find_task_files()
    sheet = Image.new("RGB", (COLUMNS * (SIDE + GAP) + GAP, len(FAMILIES) * (SIDE + TEXT) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for row, family in enumerate(FAMILIES):
        task = load_task(files[family])
        for column in range(COLUMNS):
            sample = task.sample(column, SIDE)
            x, y = GAP + column * (SIDE + GAP), GAP + row * (SIDE + TEXT)
            sheet.paste(sample.images[0], (x, y))
            question = textwrap.wrap(sample.prompt, 27)[:3]
            answer = textwrap.shorten(sample.target, 27, placeholder=" ...")
            draw.multiline_text((x, y + SIDE + 3), "\n".join([*question, f"= {answer}"]), "black", font, spacing=2)
    sheet.quantize(64).save(Path(__file__).parent / "families.png", optimize=True)


if __name__ == "__main__":
    main()
