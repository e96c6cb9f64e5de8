"""A study small enough for two cores and a minute: two families, two seeds, six steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ARGUMENTS = (
    *("--quick", "--families", "coarse,attribute", "--mix", "none", "--penalty", "none", "--steps", "6"),
    *("--items", "24", "--images", "120", "--probed", "40", "--snapshots", "0.5", "--shipped", "llava"),
)
COMMAND = (sys.executable, "-m", "vtbench", "study", *ARGUMENTS)


def document(directory: Path) -> dict[str, Any]:
    """Return the document of a finished study."""
    found: dict[str, Any] = json.loads((directory / "study.json").read_text(encoding="utf-8"))
    return found
