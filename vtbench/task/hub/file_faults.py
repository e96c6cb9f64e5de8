"""Says what `datasets` does not: which file, and in JSON which line of it, cannot be read."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def reason_of(error: BaseException) -> str:
    """Return what went wrong in one line: `datasets` puts the error of a reader under one of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".split("\n")[0][:300]


def fault_in(error: Exception, reader: str, files: Sequence[str], options: Mapping[str, Any]) -> str | None:
    """Return a line that names the file, and in JSON the line, that cannot be read: `datasets` names neither."""
    for file in files:
        if reader == "json" and (message := _json_fault(Path(file), options.get("field"))):
            return message
        if len(files) == 1 or not _readable(file, reader, options):
            return f"{file}: cannot be read as {reader}: {reason_of(error)}"
    return None


def _readable(file: str, reader: str, options: Mapping[str, Any]) -> bool:
    import datasets

    try:
        rows = datasets.load_dataset(reader, data_files=file, split="train", streaming=True, **options)
        deque(rows.with_format("arrow"), maxlen=0)
    except Exception:
        return False
    return True


def _json_fault(file: Path, field: str | None) -> str | None:
    """Say what is wrong with a JSON file: one document, a list of rows, or a row a line; None where nothing is."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}"
    try:
        document = json.loads(text)
        rows = document[field] if field else document
    except (KeyError, TypeError):
        return f"{file}: there is no {field!r} at its top"
    except json.JSONDecodeError:
        rows = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except json.JSONDecodeError as error:
                return f"{file}, line {number}: not valid JSON: {error.msg}"
    wrong = next((row for row in (rows if isinstance(rows, list) else [rows]) if not isinstance(row, dict)), None)
    return wrong and f"{file}: a row must be an object with keys, but is {type(wrong).__name__}"
