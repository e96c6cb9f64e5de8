"""Batch sizes and asking again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtbench.engine.batching import (
    FIRST_SIZE,
    LARGEST_SIZE,
    AutoBatchSize,
    Failure,
    Prefetcher,
    batches_to_ask,
    prepare_sample,
    replay,
    run_with_backoff,
)
from vtbench.errors import AdapterError, OutOfMemory, SampleError, TaskError
from vtbench.types import Sample


def sample(index: int) -> Sample:
    return Sample(id=str(index), index=index, images=(), prompt="", target="")


def grow(seconds: Any, batches: int = 20) -> AutoBatchSize:
    size = AutoBatchSize()
    for _ in range(batches):
        size.took(size.size, seconds(size.size))
    return size


def test_it_grows_while_throughput_does_and_stops_where_it_does_not() -> None:
    assert grow(lambda n: 1.0).size == LARGEST_SIZE
    assert grow(lambda n: 0.1 * n).size == FIRST_SIZE
    assert grow(lambda n: max(1.0, n / 32)).size == 32


def test_a_doubled_batch_must_gain_a_tenth() -> None:
    assert grow(lambda n: n if n == FIRST_SIZE else n / 1.05).size == FIRST_SIZE
    assert grow(lambda n: n if n == FIRST_SIZE else n / 1.2).size == 2 * FIRST_SIZE


def test_a_size_is_judged_by_the_best_of_three_batches() -> None:
    for slow, size_after in ((0, 4), (1, 4), (2, 4), (3, 1)):  # slow ones wait for something else
        size = AutoBatchSize()
        for seconds in (1.0, *[9.0] * slow, 1.0):
            size.took(size.size, seconds)
        assert size.size == size_after * FIRST_SIZE


def test_fixed_sizes_stay_but_for_memory() -> None:
    size = AutoBatchSize(24)
    size.took(24, 0.01)
    assert size.size == 24
    size.out_of_memory(24)
    assert size.size == 12
    size.took(12, 0.001)
    assert size.size == 12


def test_out_of_memory_ends_growth_for_good() -> None:
    size = grow(lambda n: 1.0, batches=3)
    before = size.size
    size.out_of_memory(before)
    size.took(before // 2, 1e-6)
    assert size.size == before // 2


class Quiz:
    """All of a task that `replay` and `Prefetcher` use."""

    name = "quiz"

    def __init__(self) -> None:
        self.made: list[int] = []

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        self.made.append(index)
        return sample(index)


def test_one_batch_is_prepared_ahead() -> None:
    task = Quiz()
    with ThreadPoolExecutor(1) as pool:
        prefetcher = Prefetcher(task, range(10), None, pool)  # type: ignore[arg-type]
        assert [prepared.index for prepared in prefetcher.take(3)] == [0, 1, 2]
    assert task.made == [0, 1, 2, 3, 4, 5], "and not two batches: images are large"


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.1, 1.0, 9.0]), st.sampled_from([None, 1, 2])), max_size=12))
def test_a_resumed_run_goes_on_with_the_sizes_of_the_first(batches: list[tuple[float, int | None]]) -> None:
    """Batches slow and quick, some of which did not fit into memory, whole or in half, and some of another task."""
    size, lines, done = AutoBatchSize(), [], 0
    for seconds, part in batches:
        line: dict[str, Any] = {"task": "quiz", "start": done, "size": size.size, "seconds": seconds}
        lines += [{"task": "other", "start": done, "size": 5, "seconds": 1e-3, "out_of_memory": [1]}, line]
        done += size.size
        if part:
            line["out_of_memory"] = [max(1, line["size"] // part)]
            size.out_of_memory(*line["out_of_memory"])
        else:
            size.took(line["size"], seconds)
    resumed = AutoBatchSize()
    replay(lines, "quiz", resumed)
    everything = range(done)
    left_over = batches_to_ask(lines, "quiz", done + 3, everything, everything, resumed.size, whole=True)
    assert left_over == ([], [done, done + 1, done + 2])
    assert vars(resumed) == vars(size)


LINES = [{"task": "quiz", "start": start, "size": 4, "seconds": 1.0} for start in (0, 4, 4, 8)]


def left(done: set[int], whole: bool = True, stored: set[int] | None = None, lines: Any = LINES, n: int = 12) -> Any:
    return batches_to_ask(lines, "quiz", n, done, done if stored is None else stored, 4, whole)


def test_a_batch_that_has_lost_a_sample_is_repeated_whole() -> None:
    assert left(set(range(12)) - {6}) == ([[4, 5, 6, 7]], [])
    assert left(set(range(12)) - {6, 10}, n=14) == ([[4, 5, 6, 7], [8, 9, 10, 11]], [12, 13])


def test_of_paid_answers_none_is_asked_again() -> None:
    assert left(set(range(12)) - {6, 9, 10}, whole=False) == ([[6], [9, 10]], [])


def test_of_failed_samples_that_are_asked_again_the_batch_is_not_repeated() -> None:
    everything = set(range(12))
    assert left(everything - {6, 9, 10}, stored=everything) == ([[6], [9, 10]], [])
    assert left(everything - {6, 9, 10}, stored=everything - {10}) == ([[6], [8, 9, 10, 11]], []), "10 was lost"


def test_samples_beyond_the_stored_batches_are_not_asked_again() -> None:
    """batches.jsonl has lost its end: its batches are taken to have had the current size."""
    done = set(range(22)) - {17}
    assert left(done, n=24) == ([[16, 17, 18, 19], [20, 21, 22, 23]], [])
    assert left(done, n=24, whole=False) == ([[17], [22, 23]], [])
    assert left(done, n=24, lines=[]) == ([[16, 17, 18, 19], [20, 21, 22, 23]], [])


def test_a_batch_with_gaps_is_repeated_as_it_was() -> None:
    lines = [*LINES, {"task": "quiz", "start": 12, "size": 3, "indices": [12, 14, 15], "seconds": 1.0}]
    assert left(set(range(13)), lines=lines, n=18) == ([[12, 14, 15]], [13, 16, 17])


@given(
    n=st.integers(0, 40),
    data=st.data(),
    size=st.integers(1, 9),
    whole=st.booleans(),
    cuts=st.lists(st.tuples(st.integers(0, 45), st.integers(1, 9)), max_size=8),
)
def test_whatever_is_damaged_every_open_sample_is_asked(
    n: int, data: st.DataObject, size: int, whole: bool, cuts: list[tuple[int, int]]
) -> None:
    indices = st.sets(st.integers(0, 45))
    done = data.draw(indices)
    stored = done | data.draw(indices)
    lines = [{"task": "quiz", "start": a, "size": b, "seconds": 1.0} for a, b in cuts]
    repeat, rest = batches_to_ask(lines, "quiz", n, done, stored, size, whole)
    asked = [i for batch in repeat for i in batch] + rest
    assert set(range(n)) - done <= set(asked) <= set(range(n))
    if not whole:
        assert sorted(asked) == sorted(set(range(n)) - done), "each once, and nothing that is done"


@given(n=st.integers(0, 40), fits=st.integers(0, 40), bad=st.sets(st.integers(0, 39)))
def test_every_sample_comes_back_once_with_its_own_answer(n: int, fits: int, bad: set[int]) -> None:
    def answer(samples: Sequence[Sample]) -> list[int]:
        if len(samples) > fits:
            raise OutOfMemory
        if any(s.index in bad for s in samples):
            raise SampleError("bad")
        return [10 * s.index for s in samples]

    got = [(s.index, value) for s, value in run_with_backoff([sample(i) for i in range(n)], answer, lambda n: None)]
    assert [index for index, _ in got] == list(range(n))
    for index, value in got:
        assert isinstance(value, Failure) if index in bad or not fits else value == 10 * index


def test_an_error_of_the_whole_run_is_not_repeated() -> None:
    calls = []

    def answer(samples: Sequence[Sample]) -> list[int]:
        calls.append(len(samples))
        raise AdapterError("server gone")

    with pytest.raises(AdapterError):
        list(run_with_backoff([sample(i) for i in range(5)], answer, lambda n: None))
    assert calls == [5]


class Failing:
    """A task whose sample 1 fails in some way."""

    name = "failing"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        if index == 1:
            raise self.error
        return sample(index)


@pytest.mark.parametrize(
    "error", [SampleError("no image"), ValueError("x"), SyntaxError("broken PNG file"), MemoryError(), OSError(5, "x")]
)
def test_whatever_a_sample_raises_is_its_own_failure(error: Exception) -> None:
    with ThreadPoolExecutor(1) as pool:
        made = Prefetcher(Failing(error), range(3), None, pool).take(3)  # type: ignore[arg-type]
    assert [isinstance(one.sample, Failure) for one in made] == [False, True, False]
    assert str(made[1].sample)


@pytest.mark.parametrize("error", [TaskError("no scene fits"), KeyboardInterrupt()])
def test_what_concerns_the_whole_run_ends_it(error: BaseException) -> None:
    with pytest.raises(type(error)):
        prepare_sample(Failing(error), 1, None)  # type: ignore[arg-type]


def test_a_preview_that_cannot_be_made_costs_no_sample() -> None:
    def preview(*_: object) -> None:
        raise OSError("encoder error")

    made = prepare_sample(Failing(ValueError()), 0, None, preview)  # type: ignore[arg-type]
    assert isinstance(made.sample, Sample)
    assert made.preview is None
