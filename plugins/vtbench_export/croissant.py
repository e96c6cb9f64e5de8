"""What was exported in, croissant.json out: the dataset in MLCommons' vocabulary, Croissant 1.1.

Every Parquet file is listed with its sha256; a record set a task reads its fields from the task's files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import vtbench
from vtbench.scenes.items import BENCHMARK
from vtbench_export.columns import Column, columns
from vtbench_export.rows import Source

_CONTEXT = Path(__file__).with_name("croissant_context.json")
"""The vocabulary's own, as every Croissant file has it."""
_PARQUET = "application/x-parquet"
_TYPES = {
    "text": "sc:Text",
    "texts": "sc:Text",
    "integer": "sc:Integer",
    "picture": "sc:ImageObject",
    "pictures": "sc:ImageObject",
}


def write_croissant(
    directory: Path, sources: Sequence[Source], written: Mapping[str, tuple[Sequence[Path], bool]]
) -> None:
    """Write the file.

    Args:
        directory: the root of the dataset.
        sources: the tasks.
        written: for each task its files, and whether its samples have one picture each.
    """
    document = {
        "@context": json.loads(_CONTEXT.read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "vtbench",
        "description": f"Questions about pictures, written by vtbench {vtbench.__version__}, benchmark {BENCHMARK}.",
        "version": vtbench.__version__,
        "distribution": [
            node
            for source in sources
            for node in _distribution(directory, source.task.name, source.split, written[source.task.name][0])
        ],
        "recordSet": [_record_set(source, columns(written[source.task.name][1])) for source in sources],
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


def _record_set(source: Source, table: Sequence[Column]) -> dict[str, Any]:
    task = source.task
    return {
        "@type": "cr:RecordSet",
        "@id": task.name,
        "name": task.name,
        "description": f"{task.description} Version {task.version}, split {source.split}, {len(task)} samples.",
        "key": {"@id": f"{task.name}/id"},
        "field": [_field(task.name, column) for column in table],
    }


def _field(task: str, column: Column) -> dict[str, Any]:
    picture = {"transform": {"jsonPath": "bytes"}} if column.kind in ("picture", "pictures") else {}
    several = {"isArray": True, "arrayShape": "-1"} if column.kind in ("texts", "pictures") else {}
    return {
        "@type": "cr:Field",
        "@id": f"{task}/{column.name}",
        "name": f"{task}/{column.name}",
        "description": column.about,
        "dataType": _TYPES[column.kind],
        **several,
        "source": {"fileSet": {"@id": _files(task)}, "extract": {"column": column.name}, **picture},
    }


def _files(task: str) -> str:
    return f"{task}-files"
