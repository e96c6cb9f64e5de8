"""Scores the stored answers of a run again, without its model (`vtbench rescore RUN`).

Metrics that read texts and log-probabilities alone observe the stored ones; what the others observed is kept. A sample
is the one that the task makes now, if that is the question that was asked; else it is made from its record, without
images and scene.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from vtbench import report
from vtbench.adapter import PLAIN, Traits
from vtbench.config import RunConfig, checked
from vtbench.console.progress import Listener
from vtbench.engine.batching import Failure, run_with_backoff
from vtbench.engine.inference import query
from vtbench.engine.recorded_task import RecordedTask
from vtbench.engine.setup import RunPlan, read_generation, requested_metrics
from vtbench.engine.stored_answers import StoredModel, scored_from_records
from vtbench.errors import ResultsError, VtbenchError, plugin_errors
from vtbench.metric import Metric, VisualMetric
from vtbench.registry import Registry
from vtbench.runs import results
from vtbench.runs.disk import disk, write_file
from vtbench.runs.provenance import digest, strict, versions
from vtbench.runs.reader import arrays_path, read_results, read_run, read_task
from vtbench.runs.results import RunResult
from vtbench.runs.writer import RunWriter
from vtbench.types import Record, Task

_BATCH = 64
"""Samples whose images are in memory at once."""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """What is to be done with one task."""

    task: RecordedTask
    records: tuple[Record, ...]
    metrics: Mapping[str, Metric]
    kept: Mapping[str, Metric]
    """Those of the metrics whose stored observations stay; the others observe the stored answers."""
    left_out: Mapping[str, str]


def rescore(
    path: Path,
    metrics: Sequence[str] | str | None = None,
    output: str | None = None,
    in_place: bool = False,
    allow_code: bool = False,
    registry: Registry | None = None,
    listener: Listener | None = None,
) -> RunResult | None:
    """Score a run's answers again, and write a run of its own beside it.

    Args:
        path: of the run.
        metrics: as `vtbench run --metrics` takes them; by default those that the run asked for.
        output: parent directory of the new run; by default that of the old one.
        in_place: change the run itself instead. Observations that need the model are kept, whatever `metrics` says.
        allow_code: whether Python code that an imported task names may run, whatever the run itself allowed.
        registry: plugins to use; the installed ones by default.
        listener: receives notes; silent by default.

    Returns:
        the rescored run; None if it lacks samples, which only `in_place` takes: `--resume` then asks for them.

    Raises:
        VtbenchError: there is no run, it lacks samples, an unknown metric, or none that can be computed.
    """
    registry, listener = registry or Registry(), listener or Listener()
    run = read_run(path)
    config = _config(run, metrics, allow_code)
    opened = _opened(config, run, registry, listener)
    tasks = [_task_plan(plan, task, run, in_place) for plan, task in opened]
    if not any(each.metrics for each in tasks):
        reasons = {f"{name}: {why}" for each in tasks for name, why in each.left_out.items()}
        raise VtbenchError(f"{path}: no metric is left to compute ({'; '.join(sorted(reasons)) or 'none was named'})")
    missing = sum(len(each.task) - len(each.records) for each in tasks)
    if missing and not in_place:
        raise ResultsError(
            f"{path}: {missing} samples are missing; finish the run with --resume {path}, or rescore it --in-place"
        )
    writer = _reopened(path, run) if in_place else _copied(path, run, Path(output) if output else path.parent)
    try:
        for each in tasks:
            rescored = _observed(each, run, listener)
            writer.replace(each.task.name, rescored) if in_place else writer.append(rescored)
        writer.finish_samples()
        writer.update(**_facts(writer.run, config, tasks, registry), rescoring=None)
        if missing:
            listener.note(f"rescored {path}, which lacks {missing} samples: --resume {path} asks for them")
            return None
        return _finished(writer, config, tasks, registry)
    finally:
        writer.close()


def _config(run: Mapping[str, Any], metrics: Sequence[str] | str | None, allow_code: bool) -> RunConfig:
    """Return the run's config, with the absolute locations of its tasks."""
    known = {f.name for f in fields(RunConfig)}
    values = {key: value for key, value in run["config"].items() if key in known}
    values["tasks"] = [about.get("file") or name for name, about in run["tasks"].items()]
    values |= {"track": [], "cache": None, "predict_only": False, "resume": False, "allow_code": allow_code}
    values["name"] = None  # named its directory; older runs have names that are refused now
    if metrics is not None:
        values["metrics"] = metrics
    return checked(values)


def _opened(
    config: RunConfig, run: Mapping[str, Any], registry: Registry, listener: Listener
) -> Iterator[tuple[RunPlan, RecordedTask]]:
    """Yield each task with a plan that names its metrics; one that cannot be opened now is of its records alone."""
    traits = Traits(**run["traits"]) if "traits" in run else Traits(prompt_format=PLAIN)
    stored = Path(run["path"]) / "results.json"
    settings = read_results(Path(run["path"])).get("configs", {}) if stored.exists() else {}
    for location, name in zip(config.tasks, run["tasks"], strict=True):
        alone, source = replace(config, tasks=[location]), None
        try:
            source = RunPlan.resolve(replace(alone, metrics=[]), registry).for_model(traits).tasks[0]
        except VtbenchError as error:
            listener.note(f"task {name!r}: scored from the stored records alone, as it cannot be opened now: {error}")
        task = RecordedTask(name, run, settings.get(name), source)
        if source is not None:
            task.metrics = source.metrics
        specs = {name: requested_metrics(cast(Task, task), alone)}
        made = (cast(Task, task),)
        yield RunPlan(alone, registry, made, made, read_generation(config.gen), {}, {}, specs, None), task


def _task_plan(plan: RunPlan, task: RecordedTask, run: Mapping[str, Any], in_place: bool) -> TaskPlan:
    """Decide for each metric of a task whether it observes, keeps what it has observed, or is left out."""
    name = task.name
    records = tuple(record for record in read_task(Path(run["path"]), name).records if record.index < len(task))
    answered = [record for record in records if record.error is None]
    has_text = all(record.output is not None for record in answered)
    closed = [record for record in answered if record.choices and not record.repeat]
    ranked = all(record.logprobs is not None and record.logprob_tokens is not None for record in closed)
    stored = run["metrics"][name]
    chosen, kept, left_out = {}, {}, {}
    created = {spec: plan.create_metric(spec, cast(Task, task)) for spec in plan.metrics[name]}
    for spec in stored if in_place else ():
        if (
            spec not in created
            and spec not in _NO_METRIC
            and not scored_from_records(found := plan.create_metric(spec, cast(Task, task)))
        ):
            created[spec] = found
    for spec, metric in created.items():
        lacks = "" if has_text or "generate" not in metric.needs else "texts"
        lacks = lacks if ranked or "rank" not in metric.needs else "log-probabilities of the choices"
        if scored_from_records(metric) and not lacks:
            chosen[spec] = metric
        elif spec in run.get("unfitted", {}).get(name, {}):
            left_out[spec] = run["unfitted"][name][spec]
        elif spec in stored:
            chosen[spec] = kept[spec] = metric
        elif scored_from_records(metric):
            left_out[spec] = run.get("left_out", {}).get(name, {}).get(spec) or f"the run has stored no {lacks}"
        else:
            before = run.get("left_out", {}).get(name, {}).get(spec)
            left_out[spec] = before or "it reads more of the model than its answers; run it again with this metric"
    return TaskPlan(task, records, chosen, kept, left_out)


_NO_METRIC = ("texts", "rankings")
"""What a run with --predict-only lists in place of metrics."""


def _observed(each: TaskPlan, run: Mapping[str, Any], listener: Listener) -> Iterator[Record]:
    """Yield the records of a task with the observations of all of its metrics."""
    stored = {record.index: record for record in each.records}
    changed = 0
    observed = {name: metric for name, metric in each.metrics.items() if name not in each.kept}
    model = f"the stored run {run['run_id']}"
    ask = partial(query, adapter=StoredModel(stored), metrics=observed, task=cast(Task, each.task), model=model)
    for start in range(0, len(each.records), _BATCH):
        part = each.records[start : start + _BATCH]
        samples = []
        for record in part:
            if record.error is None:
                sample, same = each.task.recorded(record)
                samples.append(sample)
                changed += not same
        seen: dict[int, Record] = {}
        for sample, got in run_with_backoff(samples, ask, lambda n: None):
            record = stored[sample.index]
            if isinstance(got, Failure):
                seen[sample.index] = replace(record, error=str(got), scores={}, unobserved={})
                continue
            why = {name: record.unobserved[name] for name in each.kept if name in record.unobserved}
            kept = {name: record.scores.get(name, {}) for name in each.kept if name not in why}
            found = {**got.observations, **kept}
            seen[sample.index] = replace(
                record,
                scores={name: found[name] for name in each.metrics if name in found},
                unobserved={**got.unobserved, **why},
            )
        yield from (seen.get(record.index, record) for record in part)
    if changed and each.task.opened:
        listener.note(
            f"task {each.task.name!r}: {changed} of its samples are other ones now; they are scored as they were asked"
        )


def _reopened(path: Path, run: dict[str, Any]) -> RunWriter:
    """Open the run itself; until it is rescored, nothing takes it for finished, and nothing goes on with it."""
    writer = RunWriter(path, run, retry=lambda line: False)
    try:
        writer.update(finished=None, rescoring=True)
    except BaseException:
        writer.close()
        raise
    return writer


def _copied(path: Path, run: Mapping[str, Any], parent: Path) -> RunWriter:
    """Make the directory of the rescored run, with all that no score depends on."""
    now = datetime.now().astimezone()
    origin = {"run": run["run_id"], "path": str(path.absolute()), "digest": run["digest"]}
    name = run["run_id"].removesuffix("-rescored")
    facts = {key: value for key, value in run.items() if key not in ("path", "finished", "cache", "rescoring")}
    facts |= {"run_id": f"{name}-rescored", "created": now.isoformat(timespec="microseconds"), "rescored_from": origin}
    writer = RunWriter.open(parent, False, facts)
    try:
        with disk(writer.path):
            if (path / "batches.jsonl").exists():
                shutil.copyfile(path / "batches.jsonl", writer.path / "batches.jsonl")
            for file in (*path.glob("visual/*.basis.npz"), *path.glob("visual/*.previews")):
                shutil.copyfile(file, writer.path / "visual" / file.name)
    except BaseException:
        writer.close()
        raise
    return writer


def _facts(run: Mapping[str, Any], config: RunConfig, tasks: Sequence[TaskPlan], registry: Registry) -> dict[str, Any]:
    """Return what run.json says of the metrics of the rescored run."""
    metrics = {each.task.name: list(each.metrics) for each in tasks}
    keys = {**run["keys"], "metrics": strict(metrics)}
    told = {"metrics": config.metrics, "predict_only": False}
    return {
        "config": {**run["config"], **told},
        "keys": keys,
        "digest": digest(keys),
        "metrics": metrics,
        "left_out": {each.task.name: dict(each.left_out) for each in tasks},
        "versions": versions(registry.plugins()),
    }


def _finished(writer: RunWriter, config: RunConfig, tasks: Sequence[TaskPlan], registry: Registry) -> RunResult:
    """Compute and write the scores and the report."""
    for each in tasks:
        for name, metric in each.kept.items():
            if isinstance(metric, VisualMetric):
                state = writer.state(each.task.name, name)
                if state is None:
                    missing = arrays_path(writer.path, each.task.name, name, "basis.npz")
                    raise ResultsError(f"{missing}: the fitted state of {name!r} is not there; leave that metric out")
                with plugin_errors(f"metric {name!r}: load_state"):
                    metric.load_state(state)
    made = [cast(Task, each.task) for each in tasks]
    chosen = {each.task.name: each.metrics for each in tasks}
    document = results.document(writer, made, chosen, {each.task.name: each.left_out for each in tasks})
    writer.write("results.json", document)
    writer.update(finished=datetime.now().astimezone().isoformat(timespec="seconds"))
    if config.report:
        page = report.render(
            writer.path, sections=registry.report_sections(), flags=registry.flags(), scores=registry.scores()
        )
        write_file(writer.path / "report.html", page)
    return RunResult(writer.path, document, config)
