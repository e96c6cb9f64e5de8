"""Batches: their size, their preparation in a thread, and the retry in smaller parts after an error."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from vtbench.errors import ModelUnavailable, OutOfMemory, SampleError, VtbenchError, one_line
from vtbench.types import Preview, Sample, Task

if TYPE_CHECKING:
    from vtbench.report.previews import PreviewMaker

FIRST_SIZE, LARGEST_SIZE = 8, 256
GAIN = 1.1
"""Factor by which throughput (samples per second) must grow when the batch size doubles."""
TRIES = 3
"""Batches measured at one size before doubling stops: a single one may be slow because the machine was busy."""

T = TypeVar("T")


class AutoBatchSize:
    """The batch size: fixed, or doubled while throughput grows.

    Its state is a function of the calls, so a resumed run replays them and continues with the same sizes.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or FIRST_SIZE
        self._growing = size is None
        self._best = self._here = 0.0
        self._tries = 0

    def took(self, n: int, seconds: float) -> None:
        """Record that a batch of `n` took `seconds`. Batches cut short by the end of the task are ignored."""
        if not self._growing or n != self.size:
            return
        self._here, self._tries = max(self._here, n / max(seconds, 1e-9)), self._tries + 1
        if self._here >= self._best * GAIN:
            if n * 2 > LARGEST_SIZE:
                self._growing = False
            else:
                self._best, self._here, self._tries, self.size = self._here, 0.0, 0, n * 2
        elif self._tries == TRIES:
            self._growing, self.size = False, max(1, n // 2)

    def out_of_memory(self, n: int) -> None:
        """Record that a batch of `n` did not fit into memory: all later batches are at most half as large."""
        self._growing, self.size = False, max(1, min(self.size, n // 2))


def replay(batches: Iterable[Mapping[str, Any]], task: str, size: AutoBatchSize) -> None:
    """Bring the batch size to its state at the end of an earlier run of `task`, from the lines of batches.jsonl."""
    for line in batches:
        if line["task"] != task:
            continue
        for n in line.get("out_of_memory", ()):
            size.out_of_memory(n)
        if "out_of_memory" not in line:
            size.took(line["size"], line["seconds"])


def batches_to_ask(
    batches: Iterable[Mapping[str, Any]],
    task: str,
    samples: int,
    done: Collection[int],
    stored: Collection[int],
    size: int,
    whole: bool,
) -> tuple[list[list[int]], list[int]]:
    """Return what is left to ask of a task.

    Rounding may depend on the composition of a batch. A batch that has lost a sample is therefore repeated whole, so
    that the sample gets the answer that it had. Where answers are paid for, and of samples that are asked again since
    they failed, only what is left of a batch is asked.

    Args:
        batches: lines of batches.jsonl.
        task: name of the task.
        samples: number of its samples.
        done: indices of the samples that need not be asked.
        stored: indices of all stored samples, with failed ones that are asked again.
        size: the current batch size. Batches whose lines are lost are taken to have had it.
        whole: whether batches that have lost a sample are repeated whole.

    Returns:
        The batches to repeat, each a list of indices, and the indices that no batch has reached.
    """
    earlier: list[Sequence[int]] = []
    for line in batches:
        if line["task"] == task:
            earlier.append(line.get("indices") or range(line["start"], line["start"] + line["size"]))
    begun = {index for batch in earlier for index in batch}
    start = next((index for index in range(samples) if index not in begun), samples)
    end = min(samples, max(stored, default=-1) + 1)
    while start < end:
        earlier.append(range(start, start + size))
        start += size
    repeat: list[list[int]] = []
    claimed: set[int] = set()
    for batch in earlier:
        missing = [i for i in batch if i < samples and i not in done and i not in claimed]
        if not missing:
            continue
        claimed.update(missing)
        lost = any(i not in stored for i in missing)
        repeat.append([i for i in batch if i < samples] if whole and lost else missing)
    return repeat, [i for i in range(start, samples) if i not in done and i not in claimed]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a sample has no answer."""

    error: Exception

    @property
    def transient(self) -> bool:
        """Whether the sample may succeed when it is asked again."""
        return isinstance(self.error, SampleError) and self.error.transient

    def __str__(self) -> str:
        if isinstance(self.error, VtbenchError):
            return str(self.error)
        if isinstance(self.error, OutOfMemory):
            return f"out of memory at batch size 1: {self.error}"
        return one_line(self.error)


def run_with_backoff(
    samples: Sequence[Sample],
    answer: Callable[[Sequence[Sample]], Sequence[T]],
    out_of_memory: Callable[[int], None],
) -> Iterator[tuple[Sample, T | Failure]]:
    """Yield every sample with its answer, retrying in smaller parts after an error.

    Out of memory halves the batch. Any other error repeats the batch sample by sample, so that only the faulty sample
    fails. Errors that concern the whole run (a `VtbenchError` other than `SampleError`) are raised, and so is a
    `ValueError` if `answer` returns another number of values than samples. Before a `ModelUnavailable` is raised, the
    samples are yielded that were answered already.
    """
    if not samples:
        return
    failed: Failure | None = None
    step = 1
    try:
        values = answer(samples)
    except OutOfMemory as error:
        out_of_memory(len(samples))
        failed, step = Failure(error), (len(samples) + 1) // 2
    except SampleError as error:
        failed = Failure(error)
    except ModelUnavailable as error:
        kept = [sample for sample in samples if sample.index in error.answered]
        if len(kept) < len(samples):
            yield from run_with_backoff(kept, answer, out_of_memory)
        raise
    except VtbenchError:
        raise
    except Exception as error:  # an adapter may fail on a sample in any way; the record has the error
        failed = Failure(error)
    if failed is None:
        yield from zip(samples, values, strict=True)
        return
    if len(samples) == 1:
        yield samples[0], failed
        return
    for start in range(0, len(samples), step):
        yield from run_with_backoff(samples[start : start + step], answer, out_of_memory)


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample with the sha256 of each image's decoded RGB bytes, or the failure to make it."""

    index: int
    sample: Sample | Failure
    image_sha256: tuple[str, ...] = ()
    preview: Preview | None = None
    """The sample's preview; None if the report will not show the sample."""


def prepare_sample(
    task: Task, index: int, image_size: int | None, preview: PreviewMaker | None = None
) -> PreparedSample:
    """Make one sample. Whatever is raised becomes the sample's failure, but for errors that concern the whole run.

    Raises:
        VtbenchError: other than a `SampleError`: the task cannot make any sample.
    """
    try:
        sample = task.sample(index, image_size)
        image_sha256 = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images)
    except VtbenchError as error:
        if not isinstance(error, SampleError):
            raise
        return PreparedSample(index, Failure(error))
    except Exception as error:  # a task may fail on a sample in any way; the record has the error
        return PreparedSample(index, Failure(error))
    try:
        shown = None if preview is None else preview(task.name, sample, image_sha256)
    except Exception:  # the report makes the preview again, or goes without: it decides no score
        shown = None
    return PreparedSample(index, sample, image_sha256, shown)


class Prefetcher:
    """Prepares samples in order in one thread while the model works, at most one batch ahead."""

    def __init__(
        self,
        task: Task,
        indices: Iterable[int],
        image_size: int | None,
        pool: ThreadPoolExecutor,
        preview: PreviewMaker | None = None,
    ) -> None:
        self._start = lambda index: pool.submit(prepare_sample, task, index, image_size, preview)
        self._indices = iter(indices)
        self._waiting: list[Future[PreparedSample]] = []

    def _fill(self, n: int) -> None:
        while len(self._waiting) < n:
            index = next(self._indices, None)
            if index is None:
                break
            self._waiting.append(self._start(index))

    def take(self, n: int) -> list[PreparedSample]:
        """Return the next `n` samples (fewer at the end), and start to prepare another `n`."""
        self._fill(2 * n)
        now, self._waiting = self._waiting[:n], self._waiting[n:]
        return [future.result() for future in now]


@contextmanager
def one_thread() -> Iterator[ThreadPoolExecutor]:
    """Provide a thread that makes samples; samples not yet begun are cancelled on exit."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vtbench-samples")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
