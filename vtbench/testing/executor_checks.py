"""Checks of an executor: a run's records are those of a worker in this process, and every job of a study ends.

The run asks the model `echo` about 22 items of the built-in task `coarse`, with a metric that is fitted first.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

from vtbench.config import RunConfig
from vtbench.engine.worker import RunWork
from vtbench.errors import VtbenchError
from vtbench.executor import Executor, Job, JobResult, State, WorkerPool
from vtbench.plugin import KINDS
from vtbench.registry import Registry
from vtbench.runs.provenance import strict
from vtbench.testing.checks import Check, CheckFailed, expect, nearly_equal
from vtbench.types import Record

TASK, SAMPLES, SIZES = "coarse", 22, (5, 8, 1, 8)
FITTED = "geometry"
"""A metric that is fitted on the first samples."""
_GROWING = "import sys, time\nwhile True:\n    open(sys.argv[1], 'a').write('x'); time.sleep(0.02)"
QUIET_SECONDS, PATIENCE = 1.0, 30
"""A job is over when its file has not grown for so long; so often that is looked for."""


def _sizes() -> Iterator[int]:
    """Sizes of batches, as the loop gives them out: without end."""
    return chain(SIZES, repeat(8))


def executor_checks(make: Callable[[], Executor], registry: Registry | None = None) -> list[Check]:
    """Return the checks of an executor.

    Args:
        make: makes the executor, with the same settings each time.
        registry: plugins to use; the installed ones by default. It must bring vtbench's own.

    Raises:
        VtbenchError: the executor cannot be made.
    """
    session = _Session(make, registry)
    checks = [Check("it declares what an executor must", session.check_members)]
    if session.missing:
        return checks
    return [
        *checks,
        Check("the pool's model is the run's", session.check_model),
        Check("fitting returns the states of a worker in this process", session.check_fit),
        Check("batches come in order, as large as they were asked for", session.check_batches),
        Check("records are those of a worker in this process", session.check_records),
        Check("a run that is closed early can go on", session.check_closed_early),
        Check("a model that cannot be used is refused by its own error", session.check_model_error),
        Check("every job ends, and a failed one says why", session.check_jobs),
        Check("jobs that are closed early are ended", session.check_jobs_closed_early),
    ]


class _Session:
    """The executor under check, made anew for each check."""

    def __init__(self, make: Callable[[], Executor], registry: Registry | None) -> None:
        self._make = make
        first = make()
        self.missing = KINDS["executor"].missing_members(first)
        self._label = type(first).__name__
        self._registry = registry

    def _work(self, **fields: object) -> RunWork:
        self._registry = self._registry or Registry()
        config = {"model": "echo", "tasks": [TASK], "limit": SAMPLES, "metrics": ["accuracy", FITTED], "device": "cpu"}
        return RunWork(RunConfig(**{**config, "report": False, **fields}), self._registry)  # type: ignore[arg-type]

    @contextmanager
    def _pool(self) -> Iterator[WorkerPool]:
        with closing(self._make().start(self._work(), lambda line: None)) as pool:
            yield pool

    @contextmanager
    def _reference(self) -> Iterator[WorkerPool]:
        with closing(self._work().worker()) as worker:
            yield worker

    def _states(self, pool: WorkerPool) -> dict[str, State]:
        return dict(pool.fit(TASK, [FITTED, "accuracy"], 8).states)

    def check_members(self) -> None:
        """Fail where a member is missing."""
        names = ", ".join(f"`{name}`" for name in self.missing)
        expect(not self.missing, f"{self._label} lacks {names}; expected the members of vtbench.Executor")

    def check_model(self) -> None:
        """Fail where the pool says other things of the model than the model itself."""
        with self._pool() as pool, self._reference() as worker:
            for name in ("capabilities", "image_size", "layers"):
                mine, its = getattr(pool.model, name), getattr(worker.model, name)
                expect(mine == its, f"model.{name} is {mine!r}; expected {its!r}, as the model has it")
            mine, its = strict(dict(pool.model.describe())), strict(dict(worker.model.describe()))
            expect(mine == its, f"model.describe() is {mine!r}; expected {its!r}, as the model says")

    def check_fit(self) -> None:
        """Fail where the states differ from those that one worker fits."""
        with self._pool() as pool, self._reference() as worker:
            mine, its = self._states(pool), self._states(worker)
            expect(mine.keys() == its.keys(), f"fit returned the states {sorted(mine)}; expected {sorted(its)}")
            for name, state in its.items():
                same = nearly_equal(dict(mine[name]), dict(state))
                expect(same, f"fit returned another state of {name!r} than a worker in this process; expected the same")

    def check_batches(self) -> None:
        """Fail where batches come in another order or size than asked for."""
        with self._pool() as pool:
            pool.load_states(TASK, self._states(pool))
            found = [(batch.start, len(batch.records)) for batch in pool.run_batches(TASK, range(SAMPLES), _sizes())]
        starts = [sum(SIZES[:i]) for i in range(len(SIZES))]
        expected = list(zip(starts, SIZES, strict=True))
        expect(found == expected, f"run_batches yielded (start, size) {found}; expected {expected}")

    def check_records(self) -> None:
        """Fail where a record differs from the one of a worker in this process."""
        with self._pool() as pool, self._reference() as worker:
            states = self._states(worker)
            mine, its = (self._records(one, states) for one in (pool, worker))
        expect(len(mine) == len(its), f"there are {len(mine)} records; expected {len(its)}")
        for one, other in zip(mine, its, strict=True):
            expect(one.index == other.index, f"the record {one.index} stands where {other.index} is expected")
            for name in Record.__dataclass_fields__:
                a, b = getattr(one, name), getattr(other, name)
                same = nearly_equal(a, b)
                expect(same, f"`{name}` of record {one.id} is {a!r}; expected {b!r}, as from a worker in this process")

    def _records(self, pool: WorkerPool, states: dict[str, State]) -> list[Record]:
        pool.load_states(TASK, states)
        batches = list(pool.run_batches(TASK, range(SAMPLES), _sizes()))
        return [replace(record, seconds=0.0) for batch in batches for record in batch.records]

    def check_closed_early(self) -> None:
        """Fail where a pool whose batches were closed early cannot be asked for the rest."""
        with self._pool() as pool:
            states = self._states(pool)
            pool.load_states(TASK, states)
            with closing(pool.run_batches(TASK, range(SAMPLES), _sizes())) as batches:
                first = next(batches)
            rest = range(len(first.records), SAMPLES)
            pool.load_states(TASK, states)
            found = [r.index for batch in pool.run_batches(TASK, rest, repeat(8)) for r in batch.records]
        expect(found == list(rest), f"after an early close the rest is {found}; expected {list(rest)}")

    def check_model_error(self) -> None:
        """Fail where a worker's error reaches the driver as another one."""
        work = self._work(model="oracle", metrics=[FITTED])
        errors: list[VtbenchError | None] = []
        for start in (lambda: self._make().start(work, lambda line: None), work.worker):
            try:
                start().close()
                errors.append(None)
            except VtbenchError as error:
                errors.append(error)
        mine, its = errors
        same = type(mine) is type(its) and str(mine) == str(its)
        expect(same, f"start raised {mine!r} for a model that cannot be used; expected {its!r}")

    def check_jobs(self) -> None:
        """Fail where a job has no result, or a failed one no reason."""
        commands = {"good": "print('fine')", "bad": "import sys; print('first'); sys.exit('the disk is full')"}
        with tempfile.TemporaryDirectory() as directory:
            logs = Path(directory, "logs")
            jobs = [Job(name, (sys.executable, "-c", code), logs / f"{name}.log") for name, code in commands.items()]
            found = {result.name: result for result in self._make().run(jobs)}
            expect(
                found.keys() == commands.keys(), f"run yielded results of {sorted(found)}; expected {sorted(commands)}"
            )
            good, bad = found["good"].error, found["bad"].error
            expect(good is None, f"a job that succeeded ended with the error {good!r}; expected None")
            expect("the disk is full" in (bad or ""), f"a job that failed ended with {bad!r}; expected its last line")
            printed = (logs / "good.log").read_text().strip()
            expect(printed == "fine", f"the log of a job holds {printed!r}; expected what it printed")

    def check_jobs_closed_early(self) -> None:
        """Fail where a job goes on after the results were closed."""
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "grows")
            jobs = [Job("quick", (sys.executable, "-c", "pass"), Path(directory, "quick.log"))]
            jobs += [Job("slow", (sys.executable, "-c", _GROWING, str(file)), Path(directory, "slow.log"))]
            results: Iterator[JobResult] = self._make().run(jobs)
            next(results)
            results.close()  # type: ignore[attr-defined]
            for _ in range(PATIENCE):
                before = file.stat().st_size if file.exists() else 0
                time.sleep(QUIET_SECONDS)
                if before == (file.stat().st_size if file.exists() else 0):
                    return
        raise CheckFailed("a job goes on after its results were closed; expected it to be ended")
