"""Saying a harness's redundancy: a table on the terminal, a JSON document, or a file beside the harness's results."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vtbench.runs.provenance import redact, strict
from vtbench.runs.writer import write_file
from vtbench_harness.errors import HarnessError
from vtbench_harness.watching import Watch


def checked(path: str | None) -> str | None:
    """Return the path of a file that can be written when the run is over.

    Raises:
        HarnessError: its directory is not there.
    """
    if path and not Path(path).absolute().parent.is_dir():
        raise HarnessError(f"redundancy_path={path}: there is no directory {Path(path).parent}; make it first")
    return path


def plain(facts: Mapping[str, Any]) -> Any:
    """Return facts as strict JSON has them, secrets hidden."""
    return strict(redact(dict(facts)))


def document(watches: Mapping[str, Watch]) -> dict[str, Any]:
    """Return, by task, every score with its interval, or why there is none."""
    found: dict[str, Any] = {}
    for task, watch in watches.items():
        scores = {name: asdict(score) for name, score in watch.scores().items()}
        found[task] = strict({"scores": scores, "problem": watch.problem, "unseen": watch.unseen})
    return found


def tell(watches: Mapping[str, Watch], path: str | None = None) -> None:
    """Print a table for each task, and write them all to `path` if there is one.

    Raises:
        ResultsError: the file cannot be written.
    """
    from vtbench_redundancy.showing import show

    for task, watch in watches.items():
        if watch.problem:
            print(f"vtbench: no redundancy of {task}: {watch.problem}", file=sys.stderr)
            continue
        show(watch.scores(), f"redundancy of the visual tokens · {task}")
        if watch.unseen:
            print(f"vtbench: {watch.unseen} samples of {task} are not in it: their tokens differ", file=sys.stderr)
    if path:
        write_file(Path(path), json.dumps(document(watches), indent=2, allow_nan=False))
