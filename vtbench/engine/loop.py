"""The evaluation loop.

    RunPlan -> WorkerPool -> results/<run>/ : for every task, batch by batch,
    index -> Sample -> Output, VisualTokens -> Observation -> Record; at the end all Observations -> Scores

A run that is killed loses at most the batches in flight. The executor decides where the model answers; this module
decides the batches and what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from vtbench import report
from vtbench.adapter import traits_of
from vtbench.config import RunConfig, checked, executor_spec
from vtbench.console.progress import Listener
from vtbench.console.terminal import warn
from vtbench.engine.answer_cache import uncacheable
from vtbench.engine.batching import AutoBatchSize, batches_to_ask, replay
from vtbench.engine.budget_fitter import FIT_SAMPLES
from vtbench.engine.inference import FailFast
from vtbench.engine.setup import RunPlan, no_metric_left
from vtbench.engine.worker import BUDGET, RunWork
from vtbench.errors import AdapterError, ModelUnavailable, plugin_errors
from vtbench.executor import BatchResult, WorkerPool
from vtbench.metric import Fittable, FittedElsewhere, Metric, VisualMetric
from vtbench.registry import Registry
from vtbench.runs import results
from vtbench.runs.disk import write_file
from vtbench.runs.provenance import run_facts
from vtbench.runs.publish import publish
from vtbench.runs.results import RunResult
from vtbench.runs.secrets import secrets
from vtbench.runs.writer import Retry, RunWriter, transient
from vtbench.task.prepared import Limited
from vtbench.types import Task


def run(
    config: RunConfig | None = None,
    *,
    registry: Registry | None = None,
    listener: Listener | None = None,
    **fields: Any,
) -> RunResult:
    """Run a model on tasks: `run(model="llava", tasks=["relational"])`.

    Args:
        config: the run's settings; `fields` override them.
        registry: plugins to use; the installed ones by default.
        listener: receives progress events; silent by default.
        **fields: those of `RunConfig`, the flags of `vtbench run`.

    Raises:
        VtbenchError: bad usage or input; the message is one line.
        KeyboardInterrupt: the user interrupted. Finished samples are on disk, and `resume=True` continues.
    """
    config = checked(fields if config is None else {**asdict(config), **fields})
    registry, listener = registry or Registry(), listener or Listener()
    trackers = {spec: registry.tracker(spec) for spec in config.track}
    executor = registry.executor(executor_spec(config))
    plan = RunPlan.resolve(config, registry)
    listener.phase("loading", config.model)
    pool = executor.start(RunWork(config, registry, plan), listener.note)
    try:
        plan = plan.for_model(traits_of(pool.model))
        selection = plan.select_metrics(pool.model)
        facts = run_facts(
            config, plan.tasks, plan.locations, selection.metrics, selection.left_out, pool.model, registry.plugins()
        )
        retry = _retry(config.retry_failed)
        writer = RunWriter.open(Path(config.output), config.resume, facts, frozenset(secrets(config.model_args)), retry)
        try:
            again = bool(config.retry_failed) or writer.grows
            if writer.grows:
                _grow(writer, facts, plan, selection.metrics, traits_of(pool.model).metered)
            counts = {task.name: (len(task), len(writer.done[task.name])) for task in plan.tasks}
            listener.begin(writer.path, counts, selection.left_out)
            chosen = {name: dict(metrics) for name, metrics in selection.metrics.items()}
            left_out = {name: dict(reasons) for name, reasons in selection.left_out.items()}
            if facts["model"].get("chat_template", "") is None:
                listener.note(
                    f"model {config.model!r}: its checkpoint has no chat template, so it is asked the bare questions"
                )
            if writer.run.get("finished") and any(done < samples for samples, done in counts.values()):
                writer.update(finished=None)  # until there are scores of all samples again
            cached = CacheUse(writer.run.get("cache"))
            why_not = uncacheable(config.model, facts["model"]) if config.cache else None
            if why_not:
                listener.note(why_not)
            generation = plan.generation
            if generation.repeats > 1 and generation.greedy:
                listener.note(
                    f"--gen repeats={generation.repeats} at temperature 0: the answers to a question will be the same"
                )
            size = AutoBatchSize(None if config.batch_size == "auto" else config.batch_size)
            try:
                for task in plan.tasks:
                    replay(writer.batches(), task.name, size)
                    if any(isinstance(metric, Fittable) for metric in chosen[task.name].values()):
                        listener.phase("fitting", f"{task.name}, on the first images")
                    unfitted = fit_metrics(task, pool, chosen[task.name], writer, size, again)
                    for metric, why in unfitted.items():
                        del chosen[task.name][metric]
                        listener.note(f"{task.name}: left out {metric}: {why}")
                    left_out[task.name] |= unfitted
                    if not any(chosen.values()):
                        raise AdapterError(no_metric_left(left_out))
                    run_task(task, pool, writer, size, listener, cached)
            except ModelUnavailable as error:
                raise _stopped(error, writer, plan.tasks) from error
            finally:
                if config.cache and not why_not:
                    listener.note(cached.line(config.cache))
                    writer.update(cache=cached.facts(config.cache))
            writer.finish_samples()
            listener.phase("scoring", ", ".join(task.name for task in plan.tasks))
            document = results.document(writer, plan.tasks, chosen, left_out, config.predict_only)
            writer.write("results.json", document)
            writer.update(finished=datetime.now().astimezone().isoformat(timespec="seconds"))
            result = RunResult(writer.path, document, config)
            if config.report:
                page = report.render(
                    writer.path,
                    sections=registry.report_sections(),
                    tasks=plan.tasks,
                    flags=registry.flags(),
                    scores=registry.scores(),
                )
                write_file(writer.path / "report.html", page)
        finally:
            writer.close()
    finally:
        pool.close()
        listener.end()
    publish(trackers, result, say=listener.note, warn=warn)
    return result


def run_task(
    task: Task,
    pool: WorkerPool,
    writer: RunWriter,
    size: AutoBatchSize,
    listener: Listener,
    cached: CacheUse,
) -> None:
    """Query the model about every sample that is not stored yet, and store its record."""
    for note in writer.take_notes():
        listener.note(note)
    done, paid = writer.done[task.name], traits_of(pool.model).metered or task.name in writer.paid
    stored = writer.stored[task.name]
    repeat, rest = batches_to_ask(writer.batches(), task.name, len(task), done, stored, size.size, whole=not paid)
    indices = [index for batch in repeat for index in batch] + rest
    fail_fast = FailFast(task, begun=bool(done))
    with closing(pool.run_batches(task.name, indices, _sizes([len(batch) for batch in repeat], size))) as batches:
        for batch in batches:
            if batch.records:
                asked = sorted(record.index for record in batch.records)
                writer.batch(task.name, asked, batch.seconds, batch.out_of_memory)
                for part in batch.out_of_memory:
                    size.out_of_memory(part)
                if not batch.out_of_memory:
                    size.took(len(asked), batch.seconds)
                writer.append_previews(task.name, batch.previews)
                outcomes = zip(batch.records, batch.failures, strict=True)
                new = [failure for record, failure in outcomes if record.index not in done]
                writer.append(fail_fast.passed(batch.records, batch.failures))
                listener.advance(task.name, len(new), sum(failure is not None for failure in new))
            cached.add(batch)
            for note in batch.notes:
                listener.note(note)
            if batch.unavailable is not None:
                raise ModelUnavailable(batch.unavailable)
    writer.append(fail_fast.rest())


def _grow(
    writer: RunWriter,
    facts: Mapping[str, Any],
    plan: RunPlan,
    metrics: Mapping[str, Mapping[str, Metric]],
    metered: bool,
) -> None:
    """Go on with a run that had a smaller limit.

    What was fitted on fewer first samples than there are now is fitted again, and the samples are asked again if it
    comes out as another.
    """
    for task in plan.tasks:
        repeats = getattr(task, "repeats", 1)
        before = writer.run["tasks"][task.name]["samples"]
        if before // repeats < min(FIT_SAMPLES, len(task) // repeats):
            writer.drop_state(task.name, BUDGET)
        earlier = Limited(task, before)
        for name, metric in metrics[task.name].items():
            if isinstance(metric, Fittable):
                with plugin_errors(f"metric {name!r}: fit_task"):
                    more = _fitted_on(metric, earlier) < _fitted_on(metric, task)
                if more:
                    writer.drop_state(task.name, name)
    size = plan.config.batch_size
    writer.grow(facts, None if metered or size == "auto" else size)


def _fitted_on(metric: Fittable, task: Task) -> int:
    """Return the number of samples that a metric of a task is fitted on."""
    source = metric.fit_task(task) if isinstance(metric, FittedElsewhere) else task
    return min(metric.fit_samples, len(source) // getattr(source, "repeats", 1))


class CacheUse:
    """Counts the answers of a run that came from the cache of answers, and those that did not.

    Args:
        before: the facts of the part of the run that is resumed.
    """

    def __init__(self, before: Mapping[str, Any] | None) -> None:
        self._before = before or {}
        self._reused = self._asked = 0

    def add(self, batch: BatchResult) -> None:
        """Count those of a batch."""
        self._reused, self._asked = self._reused + batch.reused, self._asked + batch.asked

    def line(self, directory: str) -> str:
        """Return the counts for the terminal."""
        return f"cache    {directory}: {self._reused} answers reused, {self._asked} asked"

    def facts(self, directory: str) -> dict[str, Any]:
        """Return the counts for run.json, with those of the part before a resume."""
        counts = {"reused": self._reused, "asked": self._asked}
        return {"directory": directory} | {name: n + self._before.get(name, 0) for name, n in counts.items()}


def _retry(retry_failed: bool | None) -> Retry:
    """Return which failed samples are asked again: those that may be answered next time, unless the user says."""
    return transient if retry_failed is None else lambda line: bool(retry_failed)


def _stopped(error: ModelUnavailable, writer: RunWriter, tasks: Sequence[Task]) -> ModelUnavailable:
    """Return the error of a run that ends since its model went away, with what is kept and what to do."""
    answered = sum(len(writer.answered[task.name]) for task in tasks)
    return ModelUnavailable(
        f"{error}; {answered} answered samples of {sum(map(len, tasks))} are kept in {writer.path}, and the same "
        "command with --resume goes on"
    )


def _sizes(repeat: list[int], size: AutoBatchSize) -> Iterator[int]:
    """Yield the sizes of the batches to repeat, then the current `size` each time a batch is dispatched."""
    yield from repeat
    while True:
        yield size.size


def fit_metrics(
    task: Task,
    pool: WorkerPool,
    metrics: Mapping[str, Metric],
    writer: RunWriter,
    size: AutoBatchSize,
    again: bool,
) -> dict[str, str]:
    """Load the stored state of every fitted metric (and of `--budget`), or fit it on the task's first samples.

    Args:
        task: whose samples are asked next.
        pool: of workers.
        metrics: of the task.
        writer: of the run.
        size: of batches.
        again: whether metrics are fitted again that could not be before.

    Returns:
        Why metrics cannot be fitted, by name; a resumed run knows it of the run before.
    """
    fitted = {name: metric for name, metric in metrics.items() if isinstance(metric, VisualMetric)}
    before = {} if again else writer.unfitted(task.name)
    stored = {name: writer.state(task.name, name) for name in (*fitted, BUDGET) if name not in before}
    new = pool.fit(task.name, [name for name, state in stored.items() if state is None], size.size)
    for part in new.out_of_memory:
        size.out_of_memory(part)
    for name, state in new.states.items():
        if not writer.save_state(task.name, name, state):
            writer.forget(task.name, name)
        stored[name] = writer.state(task.name, name)
    unfitted = {**before, **new.unfitted}
    writer.set_unfitted(task.name, unfitted)
    states = {name: state for name, state in stored.items() if state is not None}
    for name, metric in fitted.items():
        if name in states:
            with plugin_errors(f"metric {name!r}: load_state"):
                metric.load_state(states[name])
    if facts := pool.load_states(task.name, states):
        writer.update(budgets={**writer.run.get("budgets", {}), task.name: dict(facts)})
    return unfitted
