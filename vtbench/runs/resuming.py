"""Finds the run that `--resume` goes on with: the newest of the same config, or one with a smaller limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.errors import ResultsError
from vtbench.runs.provenance import differing
from vtbench.runs.reader import read_run, runs
from vtbench.scoring import SCORING_VERSION


@dataclass(frozen=True, slots=True)
class Found:
    """A run to go on with."""

    run: dict[str, Any]
    """Content of run.json, and `path`."""
    grows: bool
    """Whether the new limit gives it further samples."""
    notes: tuple[str, ...]
    """Directories that were left out, with the reason."""


def find_run(parent: Path, resume: bool | str, run: Mapping[str, Any]) -> Found:
    """Return the run to go on with.

    Args:
        parent: directory of runs.
        resume: True for the newest run in `parent` that fits, or a run's path.
        run: content of run.json that a new run would have.

    Raises:
        ResultsError: there is none; the message names the keys in which the most similar run differs. Or it is one that
            cannot go on.
    """
    skipped: list[str] = []
    if isinstance(resume, str):
        found = [read_run(Path(resume))]
    else:
        found = runs(parent, lambda path, why: skipped.append(f"left out {why}"))
    if not found:
        told = f" ({'; '.join(skipped)})" if skipped else ""
        raise ResultsError(f"{parent}: no run here to resume{told}; leave --resume out to start one")
    same = [other for other in found if other["digest"] == run["digest"]]
    limited = [other for other in found if _other_limit(other["keys"], run["keys"])]
    smaller = [other for other in limited if not _shrinks(other, run)]
    for other in (*same, *smaller):
        _check_scoring(other)
        return Found(other, not same, tuple(skipped))
    if limited:
        task = _shrinks(limited[0], run)[0]
        have, asked = (of["keys"]["tasks"][task]["samples"] for of in (limited[0], run))
        path = limited[0]["path"]
        raise ResultsError(
            f"{path}: it has {have} samples of {task}, and --limit asks for {asked}, but it can only grow; "
            "give the same or a larger one, or leave --resume out to start a new run"
        )
    nearest = min(found, key=lambda other: len(differing(run["keys"], other["keys"])))
    keys = ", ".join(differing(run["keys"], nearest["keys"]))
    raise ResultsError(
        f"{nearest['path']}: a run of another config, which differs in {keys}; "
        "give these the same values, or leave --resume out to start a new run"
    )


def without_limit(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a run's scores, without how many samples it has."""
    tasks = {
        name: {key: value for key, value in settings.items() if key != "samples"}
        for name, settings in keys.get("tasks", {}).items()
    }
    return {**keys, "limit": None, "tasks": tasks}


def _other_limit(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return old.get("limit") != new.get("limit") and without_limit(old) == without_limit(new)


def _shrinks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the tasks of which a run would have fewer samples than before."""
    before, now = (run["keys"].get("tasks", {}) for run in (old, new))
    return [name for name in now if now[name].get("samples", 0) < before[name].get("samples", 0)]


def _check_scoring(run: Mapping[str, Any]) -> None:
    """Refuse a run whose observations another version of the scoring has made, if only in part.

    Raises:
        ResultsError: it is of another version, or `vtbench rescore --in-place` was cut off.
    """
    path, stored = run["path"], run["versions"].get("scoring")
    if run.get("rescoring"):
        raise ResultsError(f"{path}: `vtbench rescore` was cut off here; `vtbench rescore {path} --in-place` ends it")
    if stored != SCORING_VERSION:
        known = "an unknown version" if stored is None else f"version {stored}"
        raise ResultsError(
            f"{path}: its answers were scored by {known} of the scoring, and this is version {SCORING_VERSION}; "
            f"`vtbench rescore {path} --in-place` scores them again, and then --resume goes on"
        )
