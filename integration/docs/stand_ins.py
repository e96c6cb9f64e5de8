"""Small files under the names that the docs use: DIR, RUN, tokens.npy, mine.yaml and the like.

A function of this module writes one to the path that it is given; `names.py` says which name stands for what.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from documented import ROOT

Writer = Callable[[Path], object]
ITEMS = 64
"""Images of arrays."""


def nothing(path: Path) -> None:
    """Leave the path free: the command writes it."""


def checkpoint(model_type: str, path: Path) -> None:
    """Write a checkpoint with random weights."""
    import tiny_checkpoints

    tiny_checkpoints.save(model_type, path)


def small_llava(path: Path) -> None:
    """Write a LLaVA with the benchmark's tokenizer, for training."""
    from tiny_base import write_tiny_base

    write_tiny_base(path)


def language_model(path: Path) -> None:
    """Write a causal language model with random weights."""
    from tiny_language_model import save_tiny

    save_tiny(path)


def lora(model_type: str, path: Path) -> None:
    """Write LoRA updates to the checkpoint that `checkpoint` writes."""
    import peft
    import tiny_checkpoints

    model, _ = tiny_checkpoints.build(model_type)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    peft.get_peft_model(model, config).save_pretrained(path)


def shipped(name: str, path: Path) -> None:
    """Link weights that ship."""
    path.symlink_to(ROOT / "adapters/vtbench_llava" / name)


def array(path: Path, shape: tuple[int, ...]) -> None:
    """Write an array of random numbers, as .npy or as `tokens` of .safetensors."""
    values = np.random.default_rng(0).normal(size=(ITEMS, *shape)).astype(np.float32)
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"tokens": values}, path)
    else:
        np.save(path, values)


def image_array(path: Path) -> None:
    """Write images as an array."""
    np.save(path, np.random.default_rng(1).integers(0, 256, size=(ITEMS, 16, 16, 3), dtype=np.uint8))


def image_folder(path: Path) -> None:
    """Write images as files."""
    from PIL import Image

    path.mkdir()
    for number, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (ITEMS, 16, 16, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(path / f"{number:03}.png")


def task(items: int, path: Path) -> None:
    """Write a task file over a built-in task."""
    path.write_text(f"task: {path.stem}\ninclude: coarse\nitems: {items}\n", encoding="utf-8")


def harness_task(harness: str, path: Path) -> None:
    """Write a task config of lm-eval or lmms-eval over four images."""
    from import_fakes import write_config, write_lmms_config

    path.mkdir()
    for name in ("task.yaml", "vtb_relational.yaml") if harness == "lm-eval" else ("task.yaml",):
        {"lm-eval": write_config, "lmms": write_lmms_config}[harness](path, name=name)


def cutouts(path: Path) -> None:
    """Write photographs of things with transparent surroundings, and the captions that make them stamps."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(2)
    for group, name in (("food", "lemon_1"), ("food", "cherry_1"), ("animals", "polar_bear_2")):
        (path / group).mkdir(parents=True, exist_ok=True)
        image = Image.new("RGBA", (140, 140))
        ImageDraw.Draw(image).ellipse((4, 4, 135, 135), fill=(200, 180, 90, 255))
        pixels = np.array(image).astype(int)
        pixels[..., :3] += rng.integers(-9, 10, pixels[..., :3].shape)  # the grain of a photograph
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path / group / f"{name}.png")
        (path / group / f"{name}.txt").write_text(f"A {name.rpartition('_')[0].replace('_', ' ')}.\n")


def coco(path: Path) -> None:
    """Write a file in the format of COCO with two objects."""
    angles = np.linspace(0, 2 * np.pi, 40)
    circles = [np.stack([x + 40 * np.cos(angles), 80 + 40 * np.sin(angles)], 1).ravel().tolist() for x in (50, 145)]
    content = {
        "licenses": [{"id": 4, "name": "CC BY 2.0"}],
        "images": [{"id": 7, "file_name": "scene.png", "license": 4}],
        "categories": [{"id": i, "name": name, "supercategory": "toys"} for i, name in enumerate(("ball", "drum"))],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": i, "area": 5000, "segmentation": [circle]}
            for i, circle in enumerate(circles)
        ],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def coco_images(path: Path) -> None:
    """Write the image of `coco`."""
    from PIL import Image

    path.mkdir()
    pixels = np.random.default_rng(3).integers(80, 200, size=(160, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path / "scene.png")


def run(path: Path, model: str = "llava", flags: tuple[str, ...] = ()) -> None:
    """Record a run of a few questions."""
    from vtbench.cli import status

    where = ("--output", str(path.parent / "recorded"), "--no-report", "--batch-size", "8")
    assert status(["run", "--model", model, "--tasks", "relational,scene_graph", "--limit", "8", *flags, *where]) == 0
    (made,) = (path.parent / "recorded").iterdir()
    made.rename(path)
    made.parent.rmdir()


def runs(path: Path) -> None:
    """Record a folder with a run."""
    path.mkdir()
    answers(path / "one")


answers: Writer = partial(run, model="oracle")
"""A run of answers alone."""
cues: Writer = partial(run, flags=("--tasks", "relational", "--metrics", "accuracy,cues"))
"""A run with visual tokens."""
unscored: Writer = partial(run, flags=("--tasks", "relational", "--predict-only"))


def parquet(path: Path) -> None:
    """Export a task to Parquet."""
    from vtbench.cli import status

    flags = ("--format", "parquet", "--limit", "3", "--output", str(path))
    assert status(["export", "--tasks", "relational", *flags]) == 0


def installed(store: Path, name: str) -> Path:
    """Return a directory that is on the path what an installed package is: one that `vtbench init` has written."""
    from vtbench.cli import status

    package = store / "packages" / name
    if not package.exists():
        kind = {"mymodel": "adapter", "mymetric": "metric"}[name]
        assert status(["init", kind, name, "--output", str(package.parent)]) == 0
        info = package / f"{name}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[vtbench]\n{name} = {name}\n")
    return package


def copied(store: Path, write: Writer, path: Path) -> None:
    """Write a file or directory, as a copy of the one that was written before if there is one."""
    kept = store / _label(write) / path.name
    for place in (kept, path):
        place.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        write(kept)
    if kept.is_symlink():
        path.symlink_to(kept.resolve())
    elif kept.exists():
        (shutil.copytree if kept.is_dir() else shutil.copy)(kept, path)


def _label(write: Writer) -> str:
    if isinstance(write, partial):
        return "-".join([write.func.__name__, *map(str, write.args), *map(str, write.keywords.values())])
    return write.__name__
