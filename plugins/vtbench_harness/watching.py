"""Watching a task's visual tokens: batches in, the redundancy of all pictures seen out, as `vtbench run` scores it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vtbench.adapter import Adapter
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, PreparedSample, run_with_backoff
from vtbench.engine.inference import fit_on_first
from vtbench.errors import VtbenchError
from vtbench.metric import Batch
from vtbench.types import Observation, Record, Sample, Score
from vtbench_harness.questions import Questions


@dataclass(frozen=True, slots=True)
class Seen:
    """A sample, with its document's key, and what the metric keeps of it."""

    record: Record
    observation: Observation


class Watch:
    """One task's redundancy. Why there is none stands in `problem`; the answers do not depend on it.

    Args:
        metric: a fresh one; its basis is fitted on the task's first pictures.
        adapter: whose tokens are watched.
    """

    def __init__(self, metric: Any, adapter: Adapter) -> None:
        self.problem: str | None = None
        self.unseen = 0
        """Samples whose tokens could not be had."""
        self._metric = metric
        self._seen: list[Seen] = []
        self._scores: dict[frozenset[str], dict[str, Score]] = {}
        self._warm = False
        self._layers = [layer for layer in adapter.layers if layer in metric.layers]
        if not self._layers:
            self.problem = "the adapter gives no visual tokens"

    def fit_on_first(
        self, questions: Questions, adapter: Adapter, size: AutoBatchSize, pool: ThreadPoolExecutor
    ) -> None:
        """Fit the basis on the first questions, once."""
        if self._warm or self.problem:
            return
        first = range(min(len(questions), self._metric.fit_samples))
        try:
            fit_on_first([self._metric], Prefetcher(questions, first, None, pool), adapter, size)
            self._metric.load_state(self._metric.state())
        except VtbenchError as error:
            self.problem = str(error)
        self._warm = True

    def observe(self, batch: Sequence[PreparedSample], adapter: Adapter, out_of_memory: Callable[[int], None]) -> None:
        """Keep what the metric keeps of a batch that was just answered, so that the adapter still has its pictures."""
        if self.problem:
            return
        self._scores.clear()
        made = {id(m.sample): m for m in batch}

        def look(part: Sequence[Sample]) -> Sequence[Observation]:
            visual = dict(zip(self._layers, adapter.visual_tokens(part, self._layers), strict=True))
            found: Sequence[Observation] = self._metric.observe(Batch(part, (), visual))
            return found

        for sample, got in run_with_backoff(
            [m.sample for m in batch if isinstance(m.sample, Sample)], look, out_of_memory
        ):
            if isinstance(got, Failure):
                self.unseen += 1
                continue
            seen, index = made[id(sample)].image_sha256, len(self._seen)
            record = Record(
                "", sample.id, index, sample.prompt, "", cluster=sample.cluster, image_sha256=seen, meta=sample.meta
            )
            self._seen.append(Seen(record, got))

    def documents(self) -> frozenset[str]:
        """The documents whose pictures were seen, by their keys."""
        return frozenset(seen.record.meta["document"] for seen in self._seen)

    def scores(self, documents: Collection[str] | None = None) -> dict[str, Score]:
        """Score the pictures seen, or those of `documents` alone; empty where there is a `problem`."""
        if self.problem:
            return {}
        wanted = self.documents() if documents is None else frozenset(documents)
        if wanted not in self._scores:
            seen = [s for s in self._seen if s.record.meta["document"] in wanted]
            records, observations = [s.record for s in seen], [s.observation for s in seen]
            self._scores[wanted] = self._metric.compute(records, observations)
        return self._scores[wanted]
