"""THE LOOP: the only module that sees all the rooms.

    config -> tasks, adapter, metrics -> results/<run>/ : for every task, batch by batch,
    index -> Sample -> Output, VisualTokens -> Observation -> Record; at the end all Observations -> Scores

In: a `RunConfig`. Out: the run's directory and a `RunResult`. Killed at any point, it loses at most the batch in
flight.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from vtbench import report, results
from vtbench.adapter import Adapter
from vtbench.answering import Beginning, answer, records, warm
from vtbench.batching import Ahead, BatchSize, one_thread, replay
from vtbench.budgets.within import Within
from vtbench.config import RunConfig, checked
from vtbench.console import Listener
from vtbench.metric import Fitted, Metric, VisualMetric
from vtbench.provenance import run_facts, secrets
from vtbench.registry import Registry
from vtbench.results import RunResult
from vtbench.selection import load_adapter, load_tasks, usable_metrics
from vtbench.store import Store, write_file
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
    tasks, files = load_tasks(config, registry)
    adapter = load_adapter(config, registry)
    try:
        metrics, left_out = usable_metrics(tasks, config, adapter, registry)
        facts = run_facts(config, tasks, files, metrics, left_out, adapter, registry.plugins())
        store = Store.open(Path(config.output), config.resume, facts, frozenset(secrets(config.model_args)))
        try:
            listener.begin(store.path, {task.name: (len(task), len(store.done[task.name])) for task in tasks}, left_out)
            size = BatchSize(None if config.batch_size == "auto" else config.batch_size)
            for task in tasks:
                run_task(task, adapter, metrics[task.name], store, size, listener)
            document = results.document(store, tasks, metrics, left_out)
            store.write("results.json", document)
            store.update(finished=datetime.now().astimezone().isoformat(timespec="seconds"))
            result = RunResult(store.path, document, config)
            if config.report:
                write_file(store.path / "report.html", report.render(store.path, sections=registry.report_sections()))
        finally:
            store.close()
    finally:
        adapter.close()
        listener.end()
    return result


def run_task(
    task: Task, adapter: Adapter, metrics: dict[str, Metric], store: Store, size: BatchSize, listener: Listener
) -> None:
    """Ask for every sample that is not written yet, and write it."""
    repeat, start = replay(store.batches(), task, store.done[task.name], size)
    indices = [i for first, n in repeat for i in range(first, first + n)] + list(range(start, len(task)))
    beginning = Beginning(task, begun=bool(store.done[task.name]))
    with one_thread() as pool:
        prepare(metrics, task, adapter, store, size, pool)
        ahead = Ahead(task, indices, adapter.image_size, pool)
        while batch := ahead.take(repeat.pop(0)[1] if repeat else size.size):
            halved: list[int] = []
            began = time.perf_counter()
            pairs = list(
                records(batch, task, partial(answer, adapter=adapter, metrics=metrics, task=task), halved.append)
            )
            seconds = time.perf_counter() - began
            store.batch(task.name, batch[0].index, len(batch), seconds, halved)
            for n in halved:
                size.out_of_memory(n)
            if not halved:
                size.took(len(batch), seconds)
            each = round(seconds / len(batch), 6)
            store.append(beginning.passed([(replace(record, seconds=each), error) for record, error in pairs]))
            listener.advance(task.name, len(batch), sum(error is not None for _, error in pairs))
        store.append(beginning.rest())


def prepare(
    metrics: dict[str, Metric], task: Task, adapter: Adapter, store: Store, size: BatchSize, pool: ThreadPoolExecutor
) -> None:
    """Give all that is fitted the basis of this run: the stored one, or one fitted on the task's first samples."""
    fits: dict[str, Fitted] = {name: metric for name, metric in metrics.items() if isinstance(metric, VisualMetric)}
    if isinstance(adapter, Within) and (budget := adapter.begin()).needed:
        fits["--budget"] = budget
    new = {name: fit for name, fit in fits.items() if store.basis(task.name, name) is None}
    if new:
        first = range(min(len(task), max(fit.warmup for fit in new.values())))
        warm(list(new.values()), Ahead(task, first, adapter.image_size, pool), adapter, size)
    for name, fit in new.items():
        store.save_basis(task.name, name, fit.basis())
    for name, fit in fits.items():
        basis = store.basis(task.name, name)
        assert basis is not None
        fit.restore(basis)
    if isinstance(adapter, Within):
        store.update(budgets={**store.run.get("budgets", {}), task.name: adapter.facts})
