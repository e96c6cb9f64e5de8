"""Serves a vtbench adapter to a harness: generates answers in batches and monitors the visual tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vtbench.adapter import Adapter
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, PreparedSample, one_thread, run_with_backoff
from vtbench.engine.inference import FAIL_FAST_AFTER
from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench.types import Sample
from vtbench_harness.errors import HarnessError
from vtbench_harness.harness_task import HarnessTask
from vtbench_harness.redundancy_monitor import RedundancyMonitor


class AdapterServer:
    """One adapter, for all tasks of a harness's run.

    Args:
        adapter: its name in vtbench.
        model_args: its arguments.
        batch_size: number of questions per batch; `auto` grows the number while that pays.
        device: where it runs; None lets the adapter choose.
        dtype: of its weights.
        redundancy: measure RS, if the adapter gives visual tokens.

    Raises:
        VtbenchError: there is no such adapter, or it cannot be created.
    """

    def __init__(
        self,
        adapter: str,
        model_args: Mapping[str, Any],
        batch_size: int | str | None = "auto",
        device: str | None = None,
        dtype: str = "auto",
        redundancy: bool = True,
    ) -> None:
        self._size = AutoBatchSize(_parse_batch_size(batch_size))
        registry = Registry()
        self.name = adapter
        self.adapter: Adapter = registry.adapter(adapter, model_args, device or "auto", dtype)
        if "generate" not in self.adapter.capabilities:
            self.adapter.close()
            raise AdapterError(f"model {adapter!r} generates no text; choose another one")
        self.monitors: dict[str, RedundancyMonitor] = {}
        """By task."""
        self._metric = partial(registry.metric, "redundancy") if redundancy else None

    def generate(self, task: HarnessTask, on_text: Callable[[int, str], None]) -> list[str]:
        """Answer the questions of a task, and observe their visual tokens.

        Args:
            task: the questions; a task of the harness may come in several parts.
            on_text: called with the index of a question and its answer, as it comes.

        Raises:
            HarnessError: some questions got no answer. All others were asked, and passed to `on_text`.
        """
        texts: dict[int, str] = {}
        failed: list[Failure] = []
        with one_thread() as pool:
            monitor = self._monitor(task)
            if monitor:
                monitor.fit(task, self.adapter, self._size, pool)
            prefetcher = Prefetcher(task, range(len(task)), None, pool)
            while batch := prefetcher.take(self._size.size):
                for index, text in self._batch(batch, task.max_new_tokens, failed):
                    texts[index] = text
                    on_text(index, text)
                if monitor:
                    monitor.observe(batch, self.adapter, self._size.out_of_memory)
                if len(failed) >= FAIL_FAST_AFTER and not texts:
                    break
        if failed:
            raise HarnessError(
                f"task {task.name!r}: {len(failed)} questions got no answer, which a harness would count as wrong "
                f"answers; the first: {failed[0]}"
            )
        return [texts[index] for index in range(len(task))]

    def close(self) -> None:
        """Release the model."""
        self.adapter.close()

    def _batch(self, batch: list[PreparedSample], max_new_tokens: int, failed: list[Failure]) -> list[tuple[int, str]]:
        failed += [made.sample for made in batch if isinstance(made.sample, Failure)]
        samples = [made.sample for made in batch if isinstance(made.sample, Sample)]
        start, halved = time.perf_counter(), list[int]()
        texts = []
        for sample, got in run_with_backoff(
            samples, lambda part: self.adapter.generate(part, max_new_tokens), halved.append
        ):
            if isinstance(got, Failure):
                failed.append(got)
            else:
                texts.append((sample.index, got.text or ""))
        for n in halved:
            self._size.out_of_memory(n)
        if not halved:
            self._size.took(len(batch), time.perf_counter() - start)
        return texts

    def _monitor(self, task: HarnessTask) -> RedundancyMonitor | None:
        if self._metric and task.name not in self.monitors:
            self.monitors[task.name] = RedundancyMonitor(self._metric(), self.adapter)
        return self.monitors.get(task.name)


def _parse_batch_size(batch_size: int | str | None) -> int | None:
    """Parse a harness's batch size: a number, or None to let it grow (`auto`, `auto:4`)."""
    text = str(batch_size or "auto")
    if text.partition(":")[0] == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise HarnessError(f"batch_size={batch_size} is neither a number above 0 nor auto")
    return int(text)
