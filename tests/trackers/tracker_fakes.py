"""A finished run for trackers: four questions about one image, and a model that answers yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

import vtbench_controls
import vtbench_trackers
from vtbench import hookimpl
from vtbench.engine.loop import run
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.scoring import plugin as scoring
from vtbench.tracker import Summary


class Keyed:
    """The echo model with a key as argument."""

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        def keyed(api_key: str = "") -> Any:
            return vtbench_controls.echo("yes")

        return {"keyed": keyed}


class Ledger:
    """A tracker that keeps summaries, or fails with `error`."""

    def __init__(self, error: str = "") -> None:
        self.error, self.summaries = error, list[Summary]()

    def publish(self, summary: Summary) -> str:
        if self.error:
            raise ConnectionError(self.error)
        self.summaries.append(summary)
        return "the ledger"

    @hookimpl
    def vtbench_trackers(self) -> dict[str, Any]:
        return {"ledger": lambda: self}


def registry(*ledgers: Ledger) -> Registry:
    others = {f"ledger{i}": ledger for i, ledger in enumerate(ledgers)}
    fixed = {"controls": vtbench_controls, "keyed": Keyed(), "scoring": scoring, "trackers": vtbench_trackers}
    return Registry({**fixed, **others})


def quiz(directory: Path) -> Path:
    Image.new("RGB", (4, 4), (200, 30, 30)).save(directory / "red.png")
    asked = {"image": "red.png", "prompt": "Is it red?", "choices": ["yes", "no"]}
    rows = [{**asked, "target": target} for target in ("yes", "yes", "yes", "no")]
    (directory / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = directory / "quiz.yaml"
    task.write_text("task: quiz\ndata: {path: quiz.jsonl, choices: choices}\n")
    return task


def finished(directory: Path, *ledgers: Ledger, **fields: Any) -> RunResult:
    given = {"model": "keyed", "tasks": [str(quiz(directory))], "output": str(directory / "out")}
    return run(registry=registry(*ledgers), **{**given, **fields})
