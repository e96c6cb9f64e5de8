"""THE LOOP: the only module that sees all the rooms.

    config -> tasks, adapter, metrics -> results/<run>/ : for every task, batch by batch,
    index -> Sample -> Output, VisualTokens -> Observation -> Record; at the end all Observations -> Scores

In: a `RunConfig`. Out: the run's directory and a `RunResult`. Killed at any point, it loses at most the batches in
flight. Where the model is asked is the executor's; what is asked together, and what is written, is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from vtbench import report, results
from vtbench.answering import Beginning
from vtbench.batching import BatchSize, replay
from vtbench.config import RunConfig, checked, executor_settings
from vtbench.console import Listener
from vtbench.executing.worker import BUDGET
from vtbench.executor import Crew
from vtbench.metric import Metric, VisualMetric
from vtbench.provenance import run_facts, secrets
from vtbench.registry import Registry
from vtbench.results import RunResult
from vtbench.selection import load_tasks, usable_metrics
from vtbench.store import Store, write_file
from vtbench.tracking import publish, to_stderr
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
        config: the run; or leave it out and give its fields.
        registry: plugins to use; the installed ones by default.
        listener: is told of progress; silent by default.
        **fields: those of `RunConfig`, the flags of `vtbench run`.

    Raises:
        VtbenchError: bad usage or input, in one line. KeyboardInterrupt leaves what was done, for `resume=True`.
    """
    config = checked(fields if config is None else {**asdict(config), **fields})
    registry, listener = registry or Registry(), listener or Listener()
    trackers = {name: registry.tracker(name) for name in config.track}
    tasks, places = load_tasks(config, registry)
    crew = registry.executor(config.executor, executor_settings(config)).crew(config, tasks, registry, listener.note)
    try:
        metrics, left_out = usable_metrics(tasks, config, crew.model, registry)
        facts = run_facts(config, tasks, places, metrics, left_out, crew.model, registry.plugins())
        store = Store.open(Path(config.output), config.resume, facts, frozenset(secrets(config.model_args)))
        try:
            listener.begin(store.path, {task.name: (len(task), len(store.done[task.name])) for task in tasks}, left_out)
            size = BatchSize(None if config.batch_size == "auto" else config.batch_size)
            for task in tasks:
                run_task(task, crew, metrics[task.name], store, size, listener)
            document = results.document(store, tasks, metrics, left_out)
            store.write("results.json", document)
            store.update(finished=datetime.now().astimezone().isoformat(timespec="seconds"))
            result = RunResult(store.path, document, config)
            if config.report:
                page = report.render(store.path, sections=registry.report_sections(), tasks=tasks)
                write_file(store.path / "report.html", page)
        finally:
            store.close()
    finally:
        crew.close()
        listener.end()
    publish(trackers, result, say=listener.note, warn=to_stderr)
    return result


def run_task(
    task: Task, crew: Crew, metrics: dict[str, Metric], store: Store, size: BatchSize, listener: Listener
) -> None:
    """Ask for every sample that is not written yet, and write it."""
    repeat, start = replay(store.batches(), task, store.done[task.name], size)
    indices = [i for first, n in repeat for i in range(first, first + n)] + list(range(start, len(task)))
    beginning = Beginning(task, begun=bool(store.done[task.name]))
    prepare(task, crew, metrics, store, size)
    with closing(crew.answer(task.name, indices, _sizes([n for _, n in repeat], size))) as batches:
        for batch in batches:
            n = len(batch.records)
            store.batch(task.name, batch.start, n, batch.seconds, list(batch.out_of_memory))
            for part in batch.out_of_memory:
                size.out_of_memory(part)
            if not batch.out_of_memory:
                size.took(n, batch.seconds)
            store.append(beginning.passed(batch.records, batch.failures))
            listener.advance(task.name, n, sum(failure is not None for failure in batch.failures))
    store.append(beginning.rest())


def _sizes(repeat: list[int], size: BatchSize) -> Iterator[int]:
    """Sizes of batches: of those to repeat, then what `size` says when the next one is handed out."""
    yield from repeat
    while True:
        yield size.size


def prepare(task: Task, crew: Crew, metrics: dict[str, Metric], store: Store, size: BatchSize) -> None:
    """Give all that is fitted the basis of this run: the stored one, or one fitted on the task's first samples."""
    fitted = {name: metric for name, metric in metrics.items() if isinstance(metric, VisualMetric)}
    stored = {name: store.basis(task.name, name) for name in (*fitted, BUDGET)}
    new = crew.fit(task.name, [name for name, basis in stored.items() if basis is None], size.size)
    for part in new.out_of_memory:
        size.out_of_memory(part)
    for name, basis in new.bases.items():
        store.save_basis(task.name, name, basis)
        stored[name] = store.basis(task.name, name)
    bases = {name: basis for name, basis in stored.items() if basis is not None}
    for name, metric in fitted.items():
        metric.restore(bases[name])
    if facts := crew.begin(task.name, bases):
        store.update(budgets={**store.run.get("budgets", {}), task.name: dict(facts)})
