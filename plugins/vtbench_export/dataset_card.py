"""Writes README.md: the dataset card that `datasets`, the Hugging Face hub and people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import vtbench
from vtbench.scenes.items import BENCHMARK
from vtbench_export.sample_rows import FIELDS, IMAGE, IMAGES, TaskExport

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LOADING = {
    "parquet": """\
```python
import datasets

rows = datasets.load_dataset("DIR", "{task}", split="{split}")
rows[0]["image"], rows[0]["prompt"], rows[0]["target"]
```
""",
    "webdataset": """\
Each `TASK/NNNNNN.tar` holds `KEY.png` and `KEY.json` per sample; KEY is the sample's index.

```python
import webdataset

for sample in webdataset.WebDataset("DIR/{task}/000000.tar", shardshuffle=False).decode("pil"):
    sample["png"], sample["json"]["prompt"], sample["json"]["target"]
```
""",
}


def write_card(directory: Path, tasks: Sequence[TaskExport], globs: Mapping[str, str], loading: str) -> None:
    """Write the card.

    Args:
        directory: root of the dataset.
        tasks: the tasks.
        globs: pattern of each task's files, relative to the directory.
        loading: format, whose loading code the card shows.
    """
    head = yaml.safe_dump(_head(tasks, globs), sort_keys=False, allow_unicode=True)
    (directory / "README.md").write_text(f"---\n{head}---\n\n{_body(tasks, loading)}", encoding="utf-8")


def _head(tasks: Sequence[TaskExport], globs: Mapping[str, str]) -> dict[str, Any]:
    samples = sum(len(task.task) for task in tasks)
    return {
        "pretty_name": "vtbench",
        "language": ["en"],
        "task_categories": ["visual-question-answering"],
        "tags": ["vtbench", "visual-tokens", "spatial-reasoning"],
        "size_categories": [next((name for limit, name in _SIZES if samples < limit), "1M<n<10M")],
        "configs": [
            {
                "config_name": task.name,
                "data_files": [{"split": task.split, "path": globs[task.name]}],
                **({"default": True} if task is tasks[0] else {}),
            }
            for task in tasks
        ],
    }


def _body(tasks: Sequence[TaskExport], loading: str) -> str:
    first = tasks[0]
    lines = [
        "# vtbench",
        "",
        f"Questions about images. Written by `vtbench export`, vtbench {vtbench.__version__}, benchmark {BENCHMARK}.",
        "",
        "| task | version | split | samples | image | maximum answer tokens | description |",
        "|---|---|---|---|---|---|---|",
        *(_table_row(task) for task in tasks),
        "",
        _LOADING[loading].format(task=first.name, split=first.split),
        "An item's image, scene and answer are a pure function of benchmark, family, split, seed and index, and",
        "`image_sha256` is that of a vtbench run's samples.jsonl, so that rows and runs can be joined item by item.",
        "",
        "| column | description |",
        "|---|---|",
        f"| `{IMAGE.name}` | {IMAGE.about} `{IMAGES.name}`, if a sample of the task has not exactly one. |",
        *(f"| `{column.name}` | {column.about} |" for column in FIELDS),
    ]
    return "\n".join(lines) + "\n"


def _table_row(export: TaskExport) -> str:
    task = export.task
    about = task.description.replace("|", "\\|")
    side = f"{export.side} px" if export.side else "of its own size"
    cells = [f"`{task.name}`", task.version, export.split, len(task), side, task.max_new_tokens, about]
    return f"| {' | '.join(map(str, cells))} |"
