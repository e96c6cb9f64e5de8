"""The tasks that there are, by group: what `vtbench ls tasks` prints."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vtbench.console.terminal import single_line, visible
from vtbench.task.catalog import summary

_NEEDS = {"hub": "Fetched from the hub.", "files": "Of files that you fetch."}


def task_rows(files: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return one row per task: name, groups, what it needs, items, split, metrics, description, file.

    `items` and `split` are those that a run takes by default, and None where the data set decides them.
    """
    rows = []
    for name, path in files.items():
        about = summary(path)
        facts = {key: about.get(key) for key in ("items", "split", "metrics")}
        named = {"name": name, "groups": about["groups"], "needs": about["needs"]}
        rows.append(named | facts | {"about": about.get("description"), "file": str(path)})
    return rows


def listing_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table that fits the terminal, or 80 columns: each task once, below its first group."""
    name_width = max((len(row["name"]) for row in rows), default=4)
    width = max(shutil.get_terminal_size((80, 24)).columns, name_width + 50) - 1
    yield f"  {'task':{name_width}}  {'n':>6}  {'split':5}  metrics"
    groups = dict.fromkeys(row["groups"][0] if row["groups"] else "" for row in rows)
    for group in sorted(groups, key=lambda name: (not name, list(groups).index(name))):
        yield ""
        yield f"{group}: --tasks {group}" if group else "in no group"
        for row in rows:
            if group == (row["groups"][0] if row["groups"] else ""):
                yield from _task_lines(row, name_width, width)


def _task_lines(row: Mapping[str, Any], name_width: int, width: int) -> Iterator[str]:
    count = f"{row['items']:,}" if isinstance(row["items"], int) else ""
    split = _text(row["split"]) or ("" if row["needs"] else "test")
    head = f"  {row['name']:{name_width}}  {count:>6}  {split:5}  "
    metrics = row["metrics"] if isinstance(row["metrics"], list) else []
    yield from textwrap.wrap(
        ", ".join(map(_text, metrics)), width, initial_indent=head, subsequent_indent=" " * len(head)
    ) or [head.rstrip()]
    about = " ".join(filter(None, [_text(row["about"]), _NEEDS.get(row["needs"], "")]))
    yield from textwrap.wrap(about, width, initial_indent="      ", subsequent_indent="      ")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(_text, value)) if isinstance(value, list) else single_line(visible(str(value)))
