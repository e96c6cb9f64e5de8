"""A vtbench adapter that serves a harness: questions in, texts out, the pictures' tokens watched on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vtbench.adapter import Adapter
from vtbench.engine.batching import AutoBatchSize, Failure, Prefetcher, PreparedSample, one_thread, run_with_backoff
from vtbench.engine.inference import HOPELESS
from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench.types import Sample
from vtbench_harness.errors import HarnessError
from vtbench_harness.questions import Questions
from vtbench_harness.watching import Watch


class Server:
    """One adapter, for all tasks of a harness's run.

    Args:
        adapter: its name in vtbench.
        model_args: its arguments.
        batch_size: questions at a time; `auto` grows the number while that pays.
        device: where it runs, None for the adapter's choice.
        dtype: of its weights.
        redundancy: measure RS where the adapter shows its visual tokens.

    Raises:
        VtbenchError: there is no such adapter, or it cannot be made.
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
        self._size = AutoBatchSize(_size(batch_size))
        registry = Registry()
        self.name = adapter
        self.adapter: Adapter = registry.adapter(adapter, model_args, device or "auto", dtype)
        if "generate" not in self.adapter.capabilities:
            self.adapter.close()
            raise AdapterError(f"model {adapter!r} writes no answers; choose another one")
        self.watches: dict[str, Watch] = {}
        self._metric = partial(registry.metric, "redundancy") if redundancy else None

    def answer(self, questions: Questions, answered: Callable[[int, str], None]) -> list[str]:
        """Answer a task's questions, and watch their pictures.

        Args:
            questions: of one task; a task may come in several parts.
            answered: is told each answer as it comes, with the question's index.

        Raises:
            HarnessError: some got no answer. All the others were asked, and `answered` was told.
        """
        texts: dict[int, str] = {}
        failed: list[Failure] = []
        with one_thread() as pool:
            watch = self._watch(questions)
            if watch:
                watch.partial_fit(questions, self.adapter, self._size, pool)
            ahead = Prefetcher(questions, range(len(questions)), None, pool)
            while batch := ahead.take(self._size.size):
                for index, text in self._batch(batch, questions.max_new_tokens, failed):
                    texts[index] = text
                    answered(index, text)
                if watch:
                    watch.observe(batch, self.adapter, self._size.out_of_memory)
                if len(failed) >= HOPELESS and not texts:
                    break
        if failed:
            raise HarnessError(
                f"task {questions.name!r}: {len(failed)} questions got no answer, of which a harness would make wrong "
                f"ones; the first: {failed[0]}"
            )
        return [texts[index] for index in range(len(questions))]

    def close(self) -> None:
        """Give the model back."""
        self.adapter.close()

    def _batch(self, batch: list[PreparedSample], max_new_tokens: int, failed: list[Failure]) -> list[tuple[int, str]]:
        failed += [made.sample for made in batch if isinstance(made.sample, Failure)]
        samples = [made.sample for made in batch if isinstance(made.sample, Sample)]
        began, halved = time.perf_counter(), list[int]()
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
            self._size.took(len(batch), time.perf_counter() - began)
        return texts

    def _watch(self, questions: Questions) -> Watch | None:
        if self._metric and questions.name not in self.watches:
            self.watches[questions.name] = Watch(self._metric(), self.adapter)
        return self.watches.get(questions.name)


def _size(batch_size: int | str | None) -> int | None:
    """Read a harness's batch size: a number, or None to let it grow (`auto`, `auto:4`)."""
    text = str(batch_size or "auto")
    if text.partition(":")[0] == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise HarnessError(f"batch_size={batch_size} is neither a number above 0 nor auto")
    return int(text)
