"""Casts and backgrounds for tests: objects of one flat colour, drawn in a few lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"lemon": (230, 210, 60), "owl": (120, 90, 60), "kettle": (90, 90, 100), "plate": (210, 210, 215)}


def disc(colour: tuple[int, int, int], hole: bool = False, side: int = 80) -> Image.Image:
    """Return a shaded disc with a margin, RGBA."""
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    for step in range(12):  # lighter towards its middle, so that there is light and shade to keep
        shade = tuple(min(255, round(c * (0.6 + 0.05 * step))) for c in colour)
        draw.ellipse((5 + step, 5 + step, side - 6 - step, side - 6 - step), (*shade, 255))
    if hole:
        draw.ellipse((side * 0.35, side * 0.35, side * 0.65, side * 0.65), (0, 0, 0, 0))
    return image


def write_cast(folder: Path, **changes: Mapping[str, Any]) -> Path:
    """Write a cast of four discs, with changes to the entries of cast.json by name; return its directory."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    for name, colour in COLOURS.items():
        disc(colour, hole=name == "plate").save(folder / f"{name}.png")
        entry = {"name": name, "file": f"{name}.png", "box": [4, 4, 76, 76], "colour": colour}
        objects.append({**entry, **changes.get(name, {})})
    (folder / "cast.json").write_text(json.dumps({"objects": objects}))
    return folder


def write_photographs(folder: Path, kinds: tuple[str, ...] = ("grass", "sand")) -> Path:
    """Write two grey images with grain of each kind; return their directory."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for kind in kinds:
        for number in (1, 2):
            pixels = rng.normal(150, 12, (70, 90, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}_{number}.png")
    return folder


def write_task(path: Path, include: str = "relational", **keys: Any) -> Path:
    """Write a task over `cast` and `photographs` beside it; return its path."""
    scene = {"cast": "cast", "backgrounds": "photographs", "textures": ["solid"], **keys.pop("scene", {})}
    path.write_text(json.dumps({"task": path.stem, "include": include, "scene": scene, **keys}))
    return path
