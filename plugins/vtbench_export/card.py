"""What was exported in, README.md out: the dataset card that `datasets`, the Hugging Face hub and people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import vtbench
from vtbench.scenes.items import BENCHMARK
from vtbench_export.columns import FIELDS, PICTURE, PICTURES
from vtbench_export.rows import Source

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
Each `TASK/NNNNNN.tar` holds `KEY.png` and `KEY.json` a sample; KEY is the sample's index.

```python
import webdataset

for sample in webdataset.WebDataset("DIR/{task}/000000.tar", shardshuffle=False).decode("pil"):
    sample["png"], sample["json"]["prompt"], sample["json"]["target"]
```
""",
}


def write_card(directory: Path, sources: Sequence[Source], globs: Mapping[str, str], loading: str) -> None:
    """Write the card.

    Args:
        directory: where.
        sources: the tasks.
        globs: for each task the pattern of its files, relative to the directory.
        loading: which of the ways to load it.
    """
    head = yaml.safe_dump(_head(sources, globs), sort_keys=False, allow_unicode=True)
    (directory / "README.md").write_text(f"---\n{head}---\n\n{_body(sources, loading)}", encoding="utf-8")


def _head(sources: Sequence[Source], globs: Mapping[str, str]) -> dict[str, Any]:
    samples = sum(len(source.task) for source in sources)
    return {
        "pretty_name": "vtbench",
        "language": ["en"],
        "task_categories": ["visual-question-answering"],
        "tags": ["vtbench", "visual-tokens", "spatial-reasoning"],
        "size_categories": [next((name for limit, name in _SIZES if samples < limit), "1M<n<10M")],
        "configs": [
            {
                "config_name": source.task.name,
                "data_files": [{"split": source.split, "path": globs[source.task.name]}],
                **({"default": True} if source is sources[0] else {}),
            }
            for source in sources
        ],
    }


def _body(sources: Sequence[Source], loading: str) -> str:
    first = sources[0]
    lines = [
        "# vtbench",
        "",
        f"Questions about pictures. Written by `vtbench export`, vtbench {vtbench.__version__}, benchmark {BENCHMARK}.",
        "",
        "| task | version | split | samples | picture | answer, tokens at most | about |",
        "|---|---|---|---|---|---|---|",
        *(_line(source) for source in sources),
        "",
        _LOADING[loading].format(task=first.task.name, split=first.split),
        "An item's picture, scene and answer are a pure function of benchmark, family, split, seed and index, and",
        "`image_sha256` is that of a vtbench run's samples.jsonl: a model can be compared with one item by item.",
        "",
        "| column | what it is |",
        "|---|---|",
        f"| `{PICTURE.name}` | {PICTURE.about} Where a sample of the task has not exactly one: `{PICTURES.name}`. |",
        *(f"| `{column.name}` | {column.about} |" for column in FIELDS),
    ]
    return "\n".join(lines) + "\n"


def _line(source: Source) -> str:
    task = source.task
    about = task.description.replace("|", "\\|")
    side = f"{source.side} px" if source.side else "of its own size"
    cells = [f"`{task.name}`", task.version, source.split, len(task), side, task.max_new_tokens, about]
    return f"| {' | '.join(map(str, cells))} |"
