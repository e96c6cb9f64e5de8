"""Task configs of lm-eval and lmms-eval over four coloured squares, and a model that names the colour."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import yaml
from PIL import Image

import vtbench_controls
import vtbench_import
from vtbench import hookimpl
from vtbench.adapter import BaseAdapter
from vtbench.registry import Registry
from vtbench.scoring import plugin as scoring
from vtbench.types import Output, Sample, Task

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}
ROWS = [
    {
        "question": f"Which colour is square {i}?",
        "answer": name,
        "options": list(COLOURS),
        "label": i,
        "other": ["it", name],
    }
    for i, name in enumerate(COLOURS)
]
BASE = {
    "task": "squares",
    "dataset_path": "parquet",
    "dataset_kwargs": {"data_files": {"test": "data/squares.parquet"}},
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "<image>{{question}}",
    "doc_to_image": ["image"],
    "doc_to_target": "answer",
}


class Painter(BaseAdapter):
    """Answers with the image's colour, capitalised, a full stop and a second paragraph; ranks it first."""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        return [Output(text=f"{self._colour(s).title()}.\n\nI am sure.") for s in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        values = [tuple(0.0 if c == self._colour(s) else -1.0 for c in s.choices) for s in samples]
        return [Output(logprobs=v, logprob_tokens=(1,) * len(v)) for v in values]

    @staticmethod
    def _colour(sample: Sample) -> str:
        pixel = sample.images[0].getpixel((0, 0))
        return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))  # type: ignore[arg-type]

    def describe(self) -> dict[str, Any]:
        return {"checkpoint": "painter", "device": "cpu"}

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        return {"painter": Painter}


def registry() -> Registry:
    fixed = {"controls": vtbench_controls, "import": vtbench_import, "scoring": scoring}
    return Registry({**fixed, "painter": Painter()})


def png(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS[name]).save(buffer, "png")
    return buffer.getvalue()


def parquet(directory: Path) -> Path:
    """Write the rows as `datasets` does, with a typed image column."""
    path = directory / "data" / "squares.parquet"
    path.parent.mkdir(exist_ok=True)
    rows = [{**row, "image": {"bytes": png(row["answer"]), "path": None}} for row in ROWS]  # type: ignore[arg-type]
    text, number = {"dtype": "string", "_type": "Value"}, {"dtype": "int64", "_type": "Value"}
    texts = {"feature": text, "_type": "Sequence"}
    kinds = {"question": text, "answer": text, "options": texts, "label": number, "other": texts}
    info = {"info": {"features": {**kinds, "image": {"_type": "Image"}}}}
    plain = pa.Table.from_pylist([{key: row[key] for key in kinds} for row in rows])
    cells = pa.array([row["image"] for row in rows], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = plain.append_column("image", cells).replace_schema_metadata({"huggingface": json.dumps(info)})
    pyarrow.parquet.write_table(table, path)
    return path


def write_config(directory: Path, name: str = "squares.yaml", **changes: Any) -> Path:
    """Write a task config and its data; a key that is None is left out."""
    parquet(directory)
    keys = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
    path = directory / name
    path.write_text(re.sub(r"'(!function [\w.]+)'", r"\1", yaml.safe_dump(keys, sort_keys=False)))
    return path


def write_lmms_config(directory: Path, **changes: Any) -> Path:
    return write_config(
        directory, **{"doc_to_image": None, "doc_to_visual": "image", "doc_to_text": "question", **changes}
    )


def load(path: Path, source: str = "lm-eval", **asked: Any) -> Task:
    task: Task = registry().named("format")[source].factory(str(path), **asked)
    return task
