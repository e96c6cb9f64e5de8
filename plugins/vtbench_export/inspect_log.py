"""A task of a finished run as a log of Inspect (`TASK.eval`), which `inspect view` and `inspect_ai.log` read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalRevision,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import ModelUsage

from vtbench.report.previews import PreviewSource
from vtbench.types import Record
from vtbench_export.inspect_samples import to_sample


def write_inspect_logs(
    run: Mapping[str, Any],
    results: Mapping[str, Any],
    records: Mapping[str, Sequence[Record]],
    directory: Path,
    advance: Callable[[int], None],
) -> list[str]:
    """Write `directory/TASK.eval` for every task.

    Args:
        run: run.json, with `path`.
        results: results.json.
        records: by task, the records to write, by index.
        directory: is there, and empty.
        advance: called with the number of samples that were made since the last call.

    Returns:
        notes about images that could not be shown.
    """
    notes = []
    for task, these in records.items():
        previews = PreviewSource(run, task)
        log = header(run, results, task, these)
        log.samples = []
        for record in these:
            images = [uri for _, uri in previews.of(record).images]
            log.samples.append(to_sample(record, images, log.eval.model))
            advance(1)
        write_eval_log(log, str(directory / f"{quote(task, safe='')}.eval"), format="eval")
        notes += [f"{task}: {previews.note}"] if previews.note else []
    return notes


def header(run: Mapping[str, Any], results: Mapping[str, Any], task: str, records: Sequence[Record]) -> EvalLog:
    """Return the log of a task without its samples."""
    config, model = run["config"], f"vtbench/{run['config']['model']}"
    settings = results.get("configs", {}).get(task, {})
    answered = [record for record in records if record.error is None]
    usage = _usage(answered)
    spec = EvalSpec(
        eval_id=_digest(run["run_id"], task),
        run_id=_digest(run["run_id"]),
        task_id=_digest(run["digest"], task),
        created=run["created"] or "1970-01-01T00:00:00+00:00",
        task=task,
        task_version=results.get("versions", {}).get(task, 0),
        task_description=settings.get("description"),
        dataset=EvalDataset(name=task, samples=len(records), sample_ids=list(dict.fromkeys(r.id for r in records))),
        model=model,
        model_args=config["model_args"],
        config=EvalConfig(
            limit=config.get("limit"), epochs=1 + max((r.repeat for r in records), default=0), fail_on_error=False
        ),
        revision=EvalRevision(type="git", origin="", commit=run["git"]) if run["git"] else None,
        packages={"vtbench": run["versions"]["vtbench"]},
        metadata={
            "run": run["run_id"],
            "digest": run["digest"],
            "scoring_version": run["versions"].get("scoring"),
            "model": run["model"],
            "task": settings,
            "decided_by": {key: value for key, value in run["keys"].items() if key != "tasks"},
        },
    )
    return EvalLog(
        status="success",
        eval=spec,
        results=EvalResults(
            total_samples=len(records),
            completed_samples=len(answered),
            logged_samples=len(records),
            scores=list(_scores(results["scores"].get(task, {}), answered)),
            metadata={"left_out": results["left_out"].get(task, {})},
        ),
        stats=EvalStats(
            started_at=run["created"],
            completed_at=run.get("finished") or "",
            model_usage={model: usage} if usage else {},
        ),
    )


def _scores(scores: Mapping[str, Mapping[str, Any]], answered: Sequence[Record]) -> Iterator[EvalScore]:
    """Yield the scores of each metric. One without a value is named in the metadata, as Inspect takes numbers only."""
    for metric in dict.fromkeys(score["metric"] for score in scores.values()):
        found: dict[str, EvalMetric] = {}
        undefined: dict[str, Any] = {}
        for name, score in scores.items():
            if score["metric"] != metric:
                continue
            if score["value"] is None:
                undefined[name] = {"flags": score["flags"], "n": score["n"]}
                continue
            facts = {key: value for key, value in score.items() if key not in ("metric", "value")}
            found[name] = EvalMetric(name=name, value=score["value"], metadata=facts)
            if score.get("stderr") is not None:
                found[f"{name}_stderr"] = EvalMetric(name=f"{name}_stderr", value=score["stderr"])
        seen = sum(metric in record.scores for record in answered)
        yield EvalScore(
            name=metric,
            scorer=metric,
            scored_samples=seen,
            unscored_samples=len(answered) - seen,
            metrics=found,
            metadata={"undefined": undefined} if undefined else None,
        )


def _usage(records: Sequence[Record]) -> ModelUsage | None:
    read, written = (sum(getattr(r, name) or 0 for r in records) for name in ("tokens_in", "tokens_out"))
    if not read + written:
        return None
    return ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)


def _digest(*parts: str) -> str:
    """Return an identifier of 22 characters, as long as Inspect's own."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:22]
