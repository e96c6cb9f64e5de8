"""Publishes a finished run to experiment trackers (Weights & Biases, MLflow, TensorBoard).

Each tracker receives a `Summary` without secrets. A tracker that fails causes one warning: the run is already on disk,
and its exit status does not change.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vtbench.runs.jsonl import lines
from vtbench.runs.reader import is_batch, read_run
from vtbench.runs.results import RunResult
from vtbench.runs.secrets import HIDDEN, SecretFilter, mask, secrets
from vtbench.tracker import Summary, Tracker

_PUBLISHED = ("config", "model", "versions", "digest", "git")
"""Parts of run.json that enter a summary's config."""
_FILES = ("report.html", "results.json", "run.json")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+(?=@)")


def publish(
    trackers: Mapping[str, Tracker], result: RunResult, say: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Publish a finished run's summary to every tracker, and show each location; a failure becomes a warning."""
    for name, tracker in trackers.items():
        try:
            say(f"tracked  {name}: {tracker.publish(summary_of(result))}")
        except Exception as error:  # no error of a tracker may cost the finished run
            text = " ".join(f"{type(error).__name__}: {error}".split())
            kept = f"{result.path}, and published again by the same command with --resume"
            warn(f"tracker {name!r} did not take the run, which is kept in {kept}: {_hide(text, result)}")


def summary_of(result: RunResult) -> Summary:
    """Make the summary from the run's directory, whose files contain no secrets."""
    run = read_run(result.path)
    published = {key: run[key] for key in _PUBLISHED}
    published["model"] = {key: value for key, value in published["model"].items() if key != "versions"}
    published["versions"] = {**run["versions"], **run["model"].get("versions", {})}
    return Summary(
        id=hashlib.sha256(f"{run['created']} {run['digest']}".encode()).hexdigest()[:16],
        name=result.path.name,
        config=dict(_flat(published)),
        numbers=dict(_numbers(result)),
        directory=result.path,
        files=tuple(path for name in _FILES if (path := result.path / name).exists()),
    )


def _numbers(result: RunResult) -> Iterator[tuple[str, float]]:
    for row in result.rows():
        name = f"{row['task']}/{row['score']}"
        ends = {"": "value", "_low": "low", "_high": "high", "_stderr": "stderr", "_n": "n"}
        if row["value"] is not None:
            yield from ((name + end, row[key]) for end, key in ends.items() if row[key] is not None)
    for task, failed in result.document["failed"].items():
        yield f"{task}/failed", failed
        batches = [line for line in lines(result.path / "batches.jsonl", is_batch) if line["task"] == task]
        if seconds := sum(line["seconds"] for line in batches):
            yield f"{task}/samples_per_second", sum(line["size"] for line in batches) / seconds


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value not in (None, [], ""):
            yield f"{prefix}{key}", value if isinstance(value, (str, int, float)) else json.dumps(value)


def _hide(text: str, result: RunResult) -> str:
    """Remove secrets of the run, the environment and of addresses from a tracker's error message."""
    known = secrets(result.config.model_args) | secrets(dict(os.environ))
    return _CREDENTIALS.sub(HIDDEN, mask(SecretFilter(known)(text)))
