"""Data sets of coloured squares in every kind of storage that `data` of a task file may name."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}


def png(colour: str | tuple[int, int, int]) -> bytes:
    """Return a square of 8 x 8 pixels as a PNG file."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS.get(colour, colour) if isinstance(colour, str) else colour).save(buffer, "png")
    return buffer.getvalue()


def squares() -> list[dict[str, Any]]:
    """Return a row for each colour: `image` as `datasets` stores it, and its questions and answers in many forms."""
    names = list(COLOURS)
    return [
        {
            "image": {"bytes": png(name), "path": None},
            "question": "Which colour is it?",
            "answer": name,
            "letter": f"({'ABCD'[i]})",
            "index": i,
            "options": names,
            "lettered": " ".join(f"({'abcd'[n]}) {other}" for n, other in enumerate(names)),
            "is_red": name == "red",
            "also": [name, "it"],
            "pair": f"{i // 2}_{i % 2}",
        }
        for i, name in enumerate(names)
    ]


def dataset(rows: Sequence[Mapping[str, Any]], images: Sequence[str] = ("image",)) -> Any:
    """Return rows as a `datasets.Dataset` with typed image columns."""
    import datasets

    found = datasets.Dataset.from_list([dict(row) for row in rows])
    for name in images:
        found = found.cast_column(name, datasets.Image())
    return found


def saved_folder(folder: Path, rows: Sequence[Mapping[str, Any]], split: str = "test", **images: Any) -> str:
    """Write an Arrow folder as `save_to_disk` does; return the name of it."""
    import datasets

    datasets.DatasetDict({split: dataset(rows, **images)}).save_to_disk(folder / "saved")
    return "saved"


def parquet_folder(folder: Path, rows: Sequence[Mapping[str, Any]], split: str = "test", **images: Any) -> str:
    """Write a directory of Parquet files by split, in two parts, as the hub has them; return the name of it."""
    home = folder / "repo" / "data"
    home.mkdir(parents=True, exist_ok=True)
    whole = dataset(rows, **images)
    half = max(1, len(rows) // 2)
    for n, part in enumerate((range(half), range(half, len(rows)))):
        if len(part):
            whole.select(part).to_parquet(home / f"{split}-0000{n}-of-00002.parquet")
    return "repo"


def image_folder(folder: Path, rows: Sequence[Mapping[str, Any]], split: str = "test") -> str:
    """Write images as files, with their rows in `metadata.jsonl`; return the name of the directory."""
    home = folder / "photos" / split
    home.mkdir(parents=True)
    lines = []
    for n, row in enumerate(rows):
        (home / f"{n}.png").write_bytes(row["image"]["bytes"])
        lines.append(json.dumps({**row, "image": None, "file_name": f"{n}.png"}))
    (home / "metadata.jsonl").write_text("\n".join(lines).replace('"image": null, ', ""))
    return "photos"


def in_cache(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], split: str = "test", **images: Any) -> str:
    """Put a data set into the cache as if it had been fetched from the hub; return its commit."""
    import datasets

    home = folder / "fetched"
    parquet_folder(home, rows, split, **images)
    owner, _, bare = name.partition("/")
    builder = datasets.load_dataset_builder(str((home / "repo").rename(home / bare)))
    builder.download_and_prepare()
    commit = "a" * 40
    cached = Path(datasets.config.HF_DATASETS_CACHE) / f"{owner}___{bare}" / "default" / "0.0.0" / commit
    cached.parent.mkdir(parents=True)
    Path(builder.cache_dir).rename(cached)
    return commit
