"""Writes croissant.json: metadata of the dataset in MLCommons' Croissant 1.1.

It lists every Parquet file with its sha256, and has one record set per task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import vtbench
from vtbench.scenes.items import BENCHMARK
from vtbench_export.sample_rows import Column, TaskExport, columns

_CONTEXT = Path(__file__).with_name("croissant_context.json")
"""The JSON-LD context that Croissant prescribes."""
_PARQUET = "application/x-parquet"
_TYPES = {
    "text": "sc:Text",
    "texts": "sc:Text",
    "integer": "sc:Integer",
    "image": "sc:ImageObject",
    "images": "sc:ImageObject",
}


def write_croissant(
    directory: Path, tasks: Sequence[TaskExport], written: Mapping[str, tuple[Sequence[Path], bool]]
) -> None:
    """Write the file.

    Args:
        directory: the root of the dataset.
        tasks: the tasks.
        written: each task's files, and whether its samples have exactly one image.
    """
    document = {
        "@context": json.loads(_CONTEXT.read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "vtbench",
        "description": f"Questions about images, written by vtbench {vtbench.__version__}, benchmark {BENCHMARK}.",
        "version": vtbench.__version__,
        "distribution": [
            node for task in tasks for node in _distribution(directory, task.name, task.split, written[task.name][0])
        ],
        "recordSet": [_record_set(task, columns(written[task.name][1])) for task in tasks],
    }
    (directory / "croissant.json").write_text(
        json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _distribution(directory: Path, task: str, split: str, files: Sequence[Path]) -> Iterable[dict[str, Any]]:
    for file in files:
        place = file.relative_to(directory).as_posix()
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        facts = {"name": place, "contentUrl": place, "contentSize": f"{file.stat().st_size} B", "sha256": digest}
        yield {"@type": "cr:FileObject", "@id": place, **facts, "encodingFormat": _PARQUET}
    includes = f"{task}/{split}-*.parquet"
    yield {
        "@type": "cr:FileSet",
        "@id": _files(task),
        "name": _files(task),
        "includes": includes,
        "encodingFormat": _PARQUET,
    }


def _record_set(export: TaskExport, table: Sequence[Column]) -> dict[str, Any]:
    task = export.task
    return {
        "@type": "cr:RecordSet",
        "@id": task.name,
        "name": task.name,
        "description": f"{task.description} Version {task.version}, split {export.split}, {len(task)} samples.",
        "key": {"@id": f"{task.name}/id"},
        "field": [_field(task.name, column) for column in table],
    }


def _field(task: str, column: Column) -> dict[str, Any]:
    image = {"transform": {"jsonPath": "bytes"}} if column.kind in ("image", "images") else {}
    several = {"isArray": True, "arrayShape": "-1"} if column.kind in ("texts", "images") else {}
    return {
        "@type": "cr:Field",
        "@id": f"{task}/{column.name}",
        "name": f"{task}/{column.name}",
        "description": column.about,
        "dataType": _TYPES[column.kind],
        **several,
        "source": {"fileSet": {"@id": _files(task)}, "extract": {"column": column.name}, **image},
    }


def _files(task: str) -> str:
    return f"{task}-files"
