"""Draws the cast and backgrounds of the natural tasks: shaded, textured objects with soft edges, made by arithmetic.

python benchmarks/natural_cast.py

An object is a union of rounded parts in its own colours. Its height above the image follows from the distance to its
edge; light from the upper left gives shade and highlights, and noise gives a grain. Nothing here is a photograph of
anybody's, so the files are free of any licence but that of this project.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

TARGET = Path(__file__).parents[1] / "tasks" / "natural"
SIDE, FINE = 112, 3
"""Side of a file in pixels, and how many times as finely it is drawn."""
AXIS = (np.arange(SIDE * FINE) + 0.5) / (SIDE * FINE) * 2 - 1
X, Y = np.meshgrid(AXIS, AXIS)
Part = tuple[np.ndarray, tuple[int, int, int]]
"""Where it is, bool, and its colour."""


def oval(x: float, y: float, a: float, b: float, turn: float = 0) -> np.ndarray:
    """Return where an ellipse is; lengths in halves of the side, `turn` in degrees."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    u, v = c * (X - x) + s * (Y - y), -s * (X - x) + c * (Y - y)
    return (u / a) ** 2 + (v / b) ** 2 < 1


def bar(x: float, y: float, a: float, b: float, turn: float = 0, power: float = 6) -> np.ndarray:
    """Return where a rounded rectangle is."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    u, v = c * (X - x) + s * (Y - y), -s * (X - x) + c * (Y - y)
    return np.abs(u / a) ** power + np.abs(v / b) ** power < 1


def below(width: Callable[[np.ndarray], np.ndarray], top: float, bottom: float) -> np.ndarray:
    """Return where a turned body is: `width` gives its half width from 0 at its top to 1 at its bottom."""
    t = (Y - top) / (bottom - top)
    return (t > 0) & (t < 1) & (np.abs(X) < width(np.clip(t, 0, 1)))


def objects() -> dict[str, tuple[str, str, str, list[Part]]]:
    """Return article, plural, group and parts by name, later parts over earlier ones."""
    red, green, brown, cream = (196, 40, 36), (72, 136, 52), (112, 74, 42), (232, 214, 180)
    yellow, orange, grey, blue = (240, 204, 60), (232, 126, 34), (150, 152, 158), (60, 104, 178)
    banana = oval(0, -0.35, 0.86, 0.95) & ~oval(0, -0.72, 0.98, 0.98)
    arms = (
        bar(-0.42, 0.02, 0.2, 0.1) | bar(-0.56, -0.16, 0.11, 0.27) | bar(0.42, 0.2, 0.2, 0.1) | bar(0.56, 0, 0.11, 0.3)
    )
    handle = oval(0.52, 0.05, 0.34, 0.4) & ~oval(0.52, 0.05, 0.19, 0.25)
    shell = oval(0.1, -0.1, 0.55, 0.55)
    return {
        "apple": (
            "an",
            "apples",
            "food",
            [
                (oval(-0.24, 0.12, 0.52, 0.64) | oval(0.24, 0.12, 0.52, 0.64), red),
                (bar(0.04, -0.6, 0.05, 0.24, 12), brown),
                (oval(0.3, -0.68, 0.26, 0.11, -28), green),
            ],
        ),
        "banana": ("a", "bananas", "food", [(banana, yellow), (oval(-0.83, -0.24, 0.1, 0.1), brown)]),
        "carrot": (
            "a",
            "carrots",
            "food",
            [
                (
                    oval(-0.16, -0.66, 0.09, 0.3, -24) | oval(0.16, -0.66, 0.09, 0.3, 24) | oval(0, -0.7, 0.09, 0.28),
                    green,
                ),
                (below(lambda t: 0.36 * (1 - t) ** 0.7 + 0.02, -0.5, 0.97), orange),
            ],
        ),
        "mushroom": (
            "a",
            "mushrooms",
            "food",
            [
                (below(lambda t: 0.2 + 0.12 * t**2, -0.1, 0.85), cream),
                (oval(0, -0.02, 0.82, 0.74) & (Y < 0.06), (176, 66, 48)),
                (oval(-0.34, -0.3, 0.13, 0.12) | oval(0.16, -0.48, 0.12, 0.1) | oval(0.44, -0.16, 0.12, 0.11), cream),
            ],
        ),
        "pear": (
            "a",
            "pears",
            "food",
            [
                (bar(0.03, -0.78, 0.05, 0.18, 10), brown),
                (oval(0, 0.36, 0.58, 0.55) | oval(0, -0.22, 0.34, 0.5), (176, 184, 70)),
            ],
        ),
        "fish": (
            "a",
            "fish",
            "animals",
            [
                (oval(0.64, -0.24, 0.3, 0.17, -40) | oval(0.64, 0.24, 0.3, 0.17, 40), orange),
                (oval(-0.12, -0.34, 0.3, 0.2), orange),
                (oval(-0.16, 0, 0.74, 0.4), orange),
                (oval(-0.6, -0.1, 0.08, 0.08), (30, 30, 34)),
            ],
        ),
        "snail": (
            "a",
            "snails",
            "animals",
            [
                (bar(0, 0.5, 0.86, 0.15), (190, 160, 110)),
                (bar(-0.72, 0.18, 0.13, 0.36), (190, 160, 110)),
                (bar(-0.86, -0.26, 0.04, 0.2, -14) | bar(-0.62, -0.26, 0.04, 0.2, 14), (190, 160, 110)),
                (shell, brown),
                (oval(0.1, -0.1, 0.4, 0.4), (150, 104, 60)),
                (oval(0.1, -0.1, 0.25, 0.25), brown),
                (oval(0.1, -0.1, 0.1, 0.1), cream),
            ],
        ),
        "mug": (
            "a",
            "mugs",
            "household",
            [(handle, blue), (bar(-0.14, 0, 0.56, 0.7, 0, 8), blue), (oval(-0.14, -0.6, 0.5, 0.12), (44, 60, 90))],
        ),
        "bottle": (
            "a",
            "bottles",
            "household",
            [
                (below(lambda t: 0.12 + 0.26 / (1 + np.exp(-24 * (t - 0.36))), -0.82, 0.92), (46, 110, 80)),
                (bar(0, -0.86, 0.14, 0.1), brown),
                (bar(0, 0.36, 0.37, 0.24), cream),
            ],
        ),
        "bell": (
            "a",
            "bells",
            "household",
            [
                (oval(0, 0.72, 0.17, 0.2), brown),
                (oval(0, -0.74, 0.16, 0.16), (206, 160, 52)),
                (below(lambda t: 0.26 + 0.5 * t**2.4, -0.62, 0.62), (206, 160, 52)),
                (bar(0, 0.6, 0.82, 0.1), (206, 160, 52)),
            ],
        ),
        "cactus": (
            "a",
            "cactuses",
            "plants",
            [
                (arms | bar(0, -0.1, 0.24, 0.78, 0, 4), green),
                (below(lambda t: 0.46 - 0.14 * t, 0.5, 0.95), (186, 96, 58)),
            ],
        ),
        "hat": (
            "a",
            "hats",
            "clothes",
            [
                (oval(0, 0.38, 0.94, 0.26), grey),
                (bar(0, -0.1, 0.5, 0.52, 0, 5), grey),
                (bar(0, 0.24, 0.52, 0.11), (60, 52, 56)),
            ],
        ),
    }


def shaded(parts: list[Part], seed: int) -> Image.Image:
    """Return the object, RGBA, drawn finely and averaged."""
    rng = np.random.default_rng(seed)
    colour = np.zeros((*X.shape, 3))
    normal = np.zeros((*X.shape, 2))
    whole = np.zeros(X.shape, dtype=bool)
    for where, rgb in parts:
        edge = distance_transform_edt(where)
        reach = max(edge.max(), 1)
        height = reach * np.sqrt(np.clip(1 - (1 - np.minimum(edge / reach, 1)) ** 2, 0, 1))
        down, right = np.gradient(gaussian_filter(height, 2.0))
        colour[where], whole = rgb, whole | where
        normal[where] = np.stack([right, down], axis=-1)[where]
    bumps = gaussian_filter(rng.normal(size=X.shape), 2.5) * 1.4
    down, right = np.gradient(bumps)
    normal += np.stack([right, down], axis=-1)
    length = np.sqrt(1 + (normal**2).sum(axis=-1))
    light = (0.55 * normal[..., 0] + 0.6 * normal[..., 1] + 0.62) / (length * np.hypot(np.hypot(0.55, 0.6), 0.62))
    shade = 0.34 + 0.72 * np.clip(light, 0, 1)
    blotches = gaussian_filter(rng.normal(size=X.shape), 12) * 12 * 0.09
    grain = gaussian_filter(rng.normal(size=X.shape), 1.2) * 0.12
    pixels = colour * (shade * (1 + blotches + grain))[..., None] + 120 * (np.clip(light, 0, 1) ** 22)[..., None]
    alpha = np.clip(gaussian_filter(whole.astype(float), FINE * 0.5), 0, 1)
    filled = gaussian_filter(np.where(whole[..., None], pixels, 0), (FINE, FINE, 0))
    around = gaussian_filter(whole.astype(float), FINE)[..., None]
    pixels = np.where(whole[..., None], pixels, filled / np.maximum(around, 1e-3))
    rgba = np.concatenate([np.clip(pixels, 0, 255), alpha[..., None] * 255], axis=-1)
    small = rgba.reshape(SIDE, FINE, SIDE, FINE, 4).mean(axis=(1, 3))
    return Image.fromarray((small + 0.5).astype(np.uint8), "RGBA")


def noise(rng: np.random.Generator, side: int, width: tuple[float, float]) -> np.ndarray:
    """Return smooth noise of mean 0 and deviation 1, blurred by `width` (down, across) and without a seam."""
    found = gaussian_filter(rng.normal(size=(side, side)), width, mode="wrap")
    return (found - found.mean()) / found.std()


def ground(kind: str, seed: int, side: int = 192) -> Image.Image:
    """Return a background of a kind."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side].astype(float)
    if kind == "grass":
        base, tone = (108, 128, 74), 0.16 * noise(rng, side, (4, 0.8)) + 0.1 * noise(rng, side, (16, 16))
    elif kind == "sand":
        base, tone = (196, 178, 146), 0.06 * noise(rng, side, (0.7, 0.7)) + 0.06 * noise(rng, side, (3, 14))
    elif kind == "water":
        wave = np.sin(0.35 * y + 2.4 * noise(rng, side, (5, 22)))
        base, tone = (116, 146, 160), 0.12 * wave + 0.08 * noise(rng, side, (1.5, 8))
    elif kind == "wood":
        rings = np.sin(0.22 * x + 1.6 * noise(rng, side, (40, 6)))
        base, tone = (150, 122, 96), 0.1 * rings + 0.05 * noise(rng, side, (14, 0.6))
    elif kind == "snow":
        base, tone = (214, 218, 224), 0.04 * noise(rng, side, (10, 14)) + 0.025 * noise(rng, side, (0.8, 0.8))
    else:  # bricks
        row = np.floor(y / 24)
        joint = (y % 24 < 3) | ((x + 24 * (row % 2)) % 48 < 3)
        each = rng.normal(size=(99, 99))[row.astype(int) % 99, np.floor((x + 24 * (row % 2)) / 48).astype(int) % 99]
        tone = np.where(joint, 0.28, 0.09 * each) + 0.06 * noise(rng, side, (0.9, 0.9))
        base = (142, 112, 104)
    light = 1 + 0.18 * ((x + y) / side - 1) * rng.choice([-1, 1])
    pixels = np.array(base) * (np.clip(1 + tone, 0.3, 1.7) * light)[..., None]
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def main() -> None:
    """Write the cast and the backgrounds."""
    cast, backgrounds = TARGET / "cast", TARGET / "backgrounds"
    for folder in (cast, backgrounds):
        folder.mkdir(exist_ok=True)
    facts = []
    for seed, (name, (article, plural, group, parts)) in enumerate(objects().items()):
        image = shaded(parts, seed)
        pixels = np.asarray(image)
        mask = pixels[..., 3] >= 128
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [
            int(max(columns[0] - 1, 0)),
            int(max(rows[0] - 1, 0)),
            int(min(columns[-1] + 2, SIDE)),
            int(min(rows[-1] + 2, SIDE)),
        ]
        image.save(cast / f"{name}.png", optimize=True)
        colour = [int(value) for value in pixels[mask][:, :3].mean(axis=0).round()]
        one = {"name": name, "article": article, "plural": plural, "group": group, "file": f"{name}.png", "box": box}
        facts.append(one | {"colour": colour, "source": "benchmarks/natural_cast.py", "licence": "Apache-2.0"})
    lines = ",\n".join(json.dumps(one) for one in facts)
    (cast / "cast.json").write_text(f'{{"objects": [\n{lines}\n]}}\n')
    for kind in ("grass", "sand", "water", "wood", "snow", "brick"):
        for number in (1, 2):
            ground(kind, 100 + number).save(backgrounds / f"{kind}_{number}.jpg", quality=80)


if __name__ == "__main__":
    main()
