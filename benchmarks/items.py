"""Items per second on one core: scene, image at 224 px, question and answer, compared with plain Pillow drawing.

    python benchmarks/items.py [--items 600] [--size 224]

Plain Pillow draws the same objects as polygons and ellipses at whole pixels, without textures or anti-aliasing, and
makes no scene, question or answer: it is a lower bound of what drawing costs. Both are timed in turn, in CPU seconds of
this process.
"""

from __future__ import annotations

import argparse
import math
import time

from PIL import Image, ImageDraw

from vtbench.scenes.scene import CANVAS, Scene
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.sources import SceneTask

CORNERS = {"square": 4, "triangle": 3, "diamond": 4, "star": 10, "cross": 12}


def draw_plainly(scene: Scene, size: int) -> Image.Image:
    """Draw a scene with Pillow alone: whole pixels, one colour for each object."""
    image = Image.new("RGB", (size, size), scene.background.rgb)
    draw = ImageDraw.Draw(image)
    scale = size / CANVAS
    for obj in scene.objects:
        x, y, r = obj.cx * scale, obj.cy * scale, obj.diameter * scale / 2
        corners = CORNERS.get(obj.shape)
        if corners is None:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=obj.rgb)
        else:
            turns = [2 * math.pi * k / corners for k in range(corners)]
            draw.polygon([(x + r * math.sin(t), y - r * math.cos(t)) for t in turns], fill=obj.rgb)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    print(f"{options.items} items of each family at {options.size} px, per second of one core's time")
    print(f"{'family':16}{'vtbench items':>14}{'scenes alone':>14}{'plain Pillow':>14}{'ratio':>8}")
    for name, path in find_task_files().items():
        task = load_task(path)
        if not isinstance(task, SceneTask):
            continue
        task.sample(0, options.size)
        times = {"items": 0.0, "scenes": 0.0, "plain": 0.0}
        cold = load_task(path)
        assert isinstance(cold, SceneTask)
        for start in range(0, options.items, 50):
            indices = range(start, min(start + 50, options.items))
            start_time = time.process_time()
            samples = [task.sample(i, options.size) for i in indices]
            times["items"] += time.process_time() - start_time
            start_time = time.process_time()
            for i in indices:
                cold.source.item(i)
            times["scenes"] += time.process_time() - start_time
            start_time = time.process_time()
            for sample in samples:
                assert sample.scene is not None
                draw_plainly(sample.scene, options.size)
            times["plain"] += time.process_time() - start_time
        rate = {key: options.items / value for key, value in times.items()}
        ratio = rate["items"] / rate["plain"]
        print(f"{name:16}{rate['items']:14.0f}{rate['scenes']:14.0f}{rate['plain']:14.0f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
