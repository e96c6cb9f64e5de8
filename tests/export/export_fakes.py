"""Shared by the tests of `vtbench export`: a registry, a task over images of a user, the files of a directory."""

import json
from pathlib import Path

from PIL import Image

import vtbench_export
from vtbench.registry import Registry
from vtbench.scoring import plugin

FORMATS = ("lm-eval", "lmms-eval", "parquet", "webdataset")


def registry() -> Registry:
    return Registry({"export": vtbench_export, "scoring": plugin})


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def image_task(directory: Path, images: list[list[str]]) -> str:
    """Write a task over images of one colour each; `images` names the colours of every row."""
    for name in {name for row in images for name in row}:
        Image.new("RGB", (20, 16), name).save(directory / f"{name}.png")
    rows = [{"image": [f"{name}.png" for name in row], "prompt": "Which colour?", "target": row[-1]} for row in images]
    (directory / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "own.yaml").write_text("task: own\ndata: {path: own.jsonl}\nmetrics: [accuracy]\n")
    return str(directory / "own.yaml")
