"""Samples for an endpoint, and the results of a command that queried it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from vtbench.types import Sample

KEY = "sk-very-secret-0123456789"


def samples(n: int) -> list[Sample]:
    """Return questions about images of one colour each."""
    return [
        Sample(f"s{i}", i, (Image.new("RGB", (8, 8), (20 * i, 0, 0)),), f"question {i}?", "yes", ("yes", "no", "none"))
        for i in range(n)
    ]


@dataclass
class Ran:
    """Exit status, output and run directory of a command."""

    status: int
    out: str
    err: str
    directory: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._run() / "samples.jsonl").read_text().splitlines()]

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self._run() / "run.json").read_text())

    def text(self) -> str:
        """Return everything that was printed or written."""
        files = (path for path in self.directory.rglob("*") if path.is_file())
        return self.out + self.err + "".join(path.read_text(errors="replace") for path in files)

    def _run(self) -> Path:
        (run,) = [path.parent for path in self.directory.glob("*/run.json")]
        return run
