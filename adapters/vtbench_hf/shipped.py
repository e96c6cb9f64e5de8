"""The small checkpoints of the package `vtbench-zoo`: an adapter's name in, its directory out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

ZOO = "vtbench_zoo"


def shipped(name: str) -> Path | None:
    """Return where the small model that an adapter has by default lies; None where there is none, or no zoo."""
    found = find_spec(ZOO)
    if found is None or found.origin is None:
        return None
    directory = Path(found.origin).parent / name
    return directory if (directory / "config.json").is_file() else None
