"""Finished runs written straight to the disk: what a model answered is given, and no model or task is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vtbench.scoring import SCORING_VERSION
from vtbench.scoring.metrics import Accuracy
from vtbench.types import Record, Score

TASK = "colours"


def stored_run(
    folder: Path,
    name: str,
    right: Sequence[bool | None],
    *,
    model: str = "made",
    created: str = "2026-11-01T10:00:00+00:00",
    scoring: int = SCORING_VERSION,
    task: str = TASK,
    facts: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    asked: Mapping[str, Any] | None = None,
    scores: Mapping[str, Score] | None = None,
    question: str = "Is it red?",
    image: str = "a",
    scenes: bool = False,
) -> Path:
    """Write a run of one task of yes/no questions, scored by `accuracy`, and return its directory.

    Args:
        folder: where the run's directory goes.
        name: of that directory, and the run's id.
        right: for each sample whether the answer is right; None for a sample that failed.
        model: name of the model.
        created: when the run began.
        scoring: version of the scoring.
        task: name of the task.
        facts: what to change of `model` in run.json.
        config: what to change of `config` in run.json.
        asked: what to change of the task's settings in results.json.
        scores: further scores, of a metric `made`.
        question: the words of every question.
        image: what the hashes of the images begin with.
        scenes: whether the images are drawn, each from a scene of its own.
    """
    path = folder / name
    path.mkdir(parents=True)
    records = [_record(task, index, answer, question, image, scenes) for index, answer in enumerate(right)]
    (path / "samples.jsonl").write_text("".join(json.dumps(asdict(record)) + "\n" for record in records))
    answered = [record for record in records if record.error is None]
    found = Accuracy().compute(answered, [record.scores["accuracy"] for record in answered])
    by_metric = {"accuracy": found, "made": scores or {}}
    settings = {"prompt_format": "plain", "split": "test", "seed": 0, "benchmark": "b-1", **(asked or {})}
    _write(
        path / "run.json",
        {
            "run_id": name,
            "created": created,
            "digest": "0" * 64,
            "config": {"model": model, "model_args": {}, "limit": len(right), **(config or {})},
            "tasks": {task: {"samples": len(right)}},
            "metrics": {task: ["accuracy"]},
            "model": {"checkpoint": "weights", **(facts or {})},
            "keys": {"tasks": {task: settings}},
            "versions": {"vtbench": "0.1.0", "plugins": {}, "platform": "none", "scoring": scoring},
            "finished": created,
        },
    )
    _write(
        path / "results.json",
        {
            "results": {task: {}},
            "configs": {task: settings},
            "versions": {task: 1},
            "n-samples": {task: {"original": len(records), "effective": len(answered)}},
            "scores": {
                task: {
                    score: {"metric": metric, **asdict(of)}
                    for metric, each in by_metric.items()
                    for score, of in each.items()
                }
            },
            "left_out": {task: {}},
            "failed": {task: len(records) - len(answered)},
        },
    )
    return path


def edited(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    _write(file, {**json.loads(file.read_text()), **changes})


def _record(task: str, index: int, right: bool | None, question: str, image: str, scenes: bool) -> Record:
    answer = None if right is None else "yes" if right else "no"
    return Record(
        task,
        f"{task}/{index}",
        index,
        question,
        "yes",
        ("yes", "no"),
        scene_hash=f"scene {index}" * scenes,
        image_sha256=(f"{image}{index}",),
        output=answer,
        scores={} if right is None else {"accuracy": {"answer": answer, "correct": int(right)}},
        error="the endpoint went away" if right is None else None,
    )


def _write(file: Path, document: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(document), encoding="utf-8")
