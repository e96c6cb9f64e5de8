"""A folder of pictures in, rows out, as `imagefolder` of `datasets` has them: column `image`, and what is said of each.

What is said stands in metadata.jsonl, metadata.csv or metadata.parquet, by `file_name`; without one, the name of the
folder that a picture is in is its `label`, a number in the order of the names.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from vtbench_import.recipe import Recipe
from vtbench_import.rows import FORMATS, Listed, Rows, read_rows


def read_folder(folder: Path, split: str, recipe: Recipe) -> Rows:
    """Return the rows of `folder/SPLIT`; of `folder` itself for `train` where there is no folder of that name.

    Raises:
        TaskError: there is no such folder or split, or a row names no picture.
    """
    if not folder.is_dir():
        raise recipe.error(f"there is no folder {folder}; name it in dataset_kwargs.data_dir", "dataset_path")
    if (folder / split).is_dir():
        folder = folder / split
    elif split != "train":
        there = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())) or "no folders"
        message = f"{folder} has no folder {split!r}, but {there}; pictures that say no split are 'train'"
        raise recipe.error(message, "dataset_path")
    for format_ in ("json", "csv", "parquet"):
        for ending in FORMATS[format_]:
            if (file := folder / f"metadata{ending}").is_file():
                return _described(file, format_, recipe)
    endings = Image.registered_extensions()
    pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings)
    if not pictures:
        raise recipe.error(f"{folder} holds no pictures", "dataset_path")
    names = sorted({path.parent.name for path in pictures})
    rows = [{"image": _cell(path.relative_to(folder)), "label": names.index(path.parent.name)} for path in pictures]
    sizes = "".join(f"{path.relative_to(folder)} {path.stat().st_size}\n" for path in pictures)
    return Listed(rows, ("image", "label"), folder, lambda: hashlib.sha256(sizes.encode()).hexdigest())


def _described(file: Path, format_: str, recipe: Recipe) -> Rows:
    found = read_rows(format_, [file], {})
    if "file_name" not in found.columns:
        raise recipe.error(f"{file} has no column file_name", "dataset_path")
    rest = tuple(name for name in found.columns if name != "file_name")
    rows = [
        {"image": _cell(row["file_name"]), **{name: row[name] for name in rest}}
        for row in (found[index] for index in range(len(found)))
    ]
    return Listed(rows, ("image", *rest), file.parent, found.fingerprint)


def _cell(path: Path | str) -> dict[str, str | None]:
    """A picture as `datasets` holds it."""
    return {"bytes": None, "path": str(path)}
