"""Measures the redundancy of a task's visual tokens while a harness's questions are answered, and reports it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vtbench.adapter import Adapter
from vtbench.console.terminal import say
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, PreparedSample, run_with_backoff
from vtbench.engine.fitting import fit_on_first
from vtbench.engine.visual import take_visual_tokens
from vtbench.errors import SampleError, VtbenchError
from vtbench.metric import Batch
from vtbench.runs.disk import write_file
from vtbench.runs.provenance import strict
from vtbench.runs.secrets import redact
from vtbench.types import Observation, Record, Sample, Score
from vtbench_harness.errors import HarnessError
from vtbench_harness.harness_task import HarnessTask


@dataclass(frozen=True, slots=True)
class Observed:
    """The metric's observation of a sample; `record.meta` has the key of its document."""

    record: Record
    observation: Observation


class RedundancyMonitor:
    """Redundancy of one task; `problem` says why there is none. The answers do not depend on it.

    Args:
        metric: a new instance, fitted on the task's first images.
        adapter: source of the visual tokens.
    """

    def __init__(self, metric: Any, adapter: Adapter) -> None:
        self.problem: str | None = None
        self.skipped = 0
        """Number of samples whose tokens could not be measured."""
        self._metric = metric
        self._observed: list[Observed] = []
        self._scores: dict[frozenset[str], dict[str, Score]] = {}
        self._fitted = False
        self._layers = [layer for layer in adapter.layers if layer in metric.layers]
        if not self._layers:
            self.problem = "the adapter gives no visual tokens"

    def fit(self, task: HarnessTask, adapter: Adapter, size: AutoBatchSize, pool: ThreadPoolExecutor) -> None:
        """Fit the metric on the first questions, once."""
        if self._fitted or self.problem:
            return
        try:
            source = self._metric.fit_task(task)
            first = range(min(len(source), self._metric.fit_samples))
            fits = {"metric 'redundancy'": self._metric}
            found = fit_on_first(fits, partial(Prefetcher, source, first, None, pool), adapter, size, "the model")
            self.problem = next(iter(found.unfitted.values()), None)
            if self.problem is None:
                self._metric.load_state(self._metric.state())
        except VtbenchError as error:
            self.problem = str(error)
        self._fitted = True

    def observe(self, batch: Sequence[PreparedSample], adapter: Adapter, out_of_memory: Callable[[int], None]) -> None:
        """Observe a batch that was just answered, whose images the adapter still holds."""
        if self.problem:
            return
        self._scores.clear()
        made = {id(m.sample): m for m in batch}

        def look(part: Sequence[Sample]) -> Sequence[Observation]:
            shown, why = take_visual_tokens(part, range(len(part)), adapter, self._layers, "the model")
            if why:
                raise SampleError(next(iter(why.values())))
            found: dict[int, Observation] = {}
            for group in shown:
                seen = self._metric.observe(Batch([part[row] for row in group.rows], (), group.visual))
                found |= dict(zip(group.rows, seen, strict=True))
            return [found[row] for row in range(len(part))]

        for sample, got in run_with_backoff(
            [m.sample for m in batch if isinstance(m.sample, Sample)], look, out_of_memory
        ):
            if isinstance(got, Failure):
                self.skipped += 1
                continue
            sha256, index = made[id(sample)].image_sha256, len(self._observed)
            record = Record(
                "", sample.id, index, sample.prompt, "", cluster=sample.cluster, image_sha256=sha256, meta=sample.meta
            )
            self._observed.append(Observed(record, got))

    def documents(self) -> frozenset[str]:
        """Return the keys of the documents whose images were observed."""
        return frozenset(observed.record.meta["document"] for observed in self._observed)

    def scores(self, documents: Collection[str] | None = None) -> dict[str, Score]:
        """Return the scores over all observed images, or those of `documents`; empty if there is a `problem`."""
        if self.problem:
            return {}
        wanted = self.documents() if documents is None else frozenset(documents)
        if wanted not in self._scores:
            chosen = [s for s in self._observed if s.record.meta["document"] in wanted]
            records, observations = [s.record for s in chosen], [s.observation for s in chosen]
            self._scores[wanted] = self._metric.compute(records, observations)
        return self._scores[wanted]


def check_output_path(path: str | None) -> str | None:
    """Return the path of a file to write after the run.

    Raises:
        HarnessError: its directory does not exist.
    """
    if path and not Path(path).absolute().parent.is_dir():
        raise HarnessError(f"redundancy_path={path}: there is no directory {Path(path).parent}; make it first")
    return path


def to_json_facts(facts: Mapping[str, Any]) -> Any:
    """Return facts as strict JSON can hold them, secrets redacted."""
    return strict(redact(dict(facts)))


def to_document(monitors: Mapping[str, RedundancyMonitor]) -> dict[str, Any]:
    """Return the scores of each task with their intervals, or why it has none."""
    found: dict[str, Any] = {}
    for task, monitor in monitors.items():
        scores = {name: asdict(score) for name, score in monitor.scores().items()}
        found[task] = strict({"scores": scores, "problem": monitor.problem, "unseen": monitor.skipped})
    return found


def print_redundancy(monitors: Mapping[str, RedundancyMonitor], path: str | None = None) -> None:
    """Print the scores of each task as a table, and write all of them to `path`, if given.

    Raises:
        ResultsError: the file cannot be written.
    """
    from vtbench_redundancy.score_table import print_scores

    for task, monitor in monitors.items():
        if monitor.problem:
            say(f"vtbench: no redundancy of {task}: {monitor.problem}", err=True)
            continue
        print_scores(monitor.scores(), f"redundancy of the visual tokens · {task}")
        if monitor.skipped:
            say(
                f"vtbench: {monitor.skipped} samples of {task} are not in it: their tokens could not be measured",
                err=True,
            )
    if path:
        write_file(Path(path), json.dumps(to_document(monitors), indent=2, allow_nan=False))
