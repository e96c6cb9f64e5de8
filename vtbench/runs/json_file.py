"""Reads a JSON file that must hold an object: what is missing, broken or of another kind is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vtbench.errors import VtbenchError


def read_object(path: Path, error: type[VtbenchError] = VtbenchError, cure: str = "") -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path: the file.
        error: the class of error to raise.
        cure: what the message of a broken file adds, e.g. `; remove it`.

    Raises:
        VtbenchError: of class `error`: the file cannot be read, is not JSON in UTF-8, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}{cure}") from None
    except (ValueError, RecursionError) as problem:
        what = "nested too deeply" if isinstance(problem, RecursionError) else problem
        raise error(f"{path}: broken: {what}{cure}") from None
    if not isinstance(found, dict):
        raise error(f"{path}: broken: not a JSON object{cure}")
    return found
