"""Several copies of a run's model on this machine: dispatches batches to processes, yields results in order."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import Connection, Pipe, wait
from types import ModuleType
from typing import Any

from vtbench.engine.batch_queue import BatchQueue, QueuedBatch
from vtbench.engine.remote_worker import WorkerInfo
from vtbench.errors import WorkerError
from vtbench.executor import BatchResult, FitResult, Notify, State, Work
from vtbench.runs.provenance import differing

BATCHES_PER_WORKER = 2
"""Batches that a worker has at once, so that it never waits for the next one."""
END_SECONDS = 10.0
"""Seconds that a worker has to end by itself."""
MODULE = "vtbench.engine.worker_process"


class _Pickler(pickle.Pickler):
    """Pickles modules by name: a registry holds those of the plugins that it was given."""

    def reducer_override(self, thing: Any) -> Any:
        """Return how a module is made anew; everything else is pickled as usual."""
        return (import_module, (thing.__name__,)) if isinstance(thing, ModuleType) else NotImplemented


class _Process:
    """One worker's process and the calls that it has not answered yet."""

    def __init__(self, number: int, environment: Mapping[str, str]) -> None:
        self.number = number
        self.pending: deque[QueuedBatch | None] = deque()
        """The batches of unanswered calls, in order; None for a call that is no batch."""
        self.connection, theirs = Pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # A plugin may be importable here alone, from the directory of a script. `python -m` would import from the
        # current directory first: a stranger's torch.py there is code that would run.
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # Ctrl-C is for the run, which then ends its workers
            env={**os.environ, **environment, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1"},
        )
        theirs.close()

    def send(self, method: str, *arguments: Any, batch: QueuedBatch | None = None) -> None:
        """Call a method; `receive` returns what it returns.

        Raises:
            WorkerError: the process has ended.
        """
        call = io.BytesIO()
        _Pickler(call).dump((method, arguments))
        try:
            self.connection.send_bytes(call.getbuffer())
        except OSError as error:
            raise self._ended(method) from error
        self.pending.append(batch)

    def receive(self) -> tuple[QueuedBatch | None, Any]:
        """Wait for the answer to the oldest call, and return its batch and its result.

        Raises:
            WorkerError: the process has ended.
            Exception: the call raised it.
        """
        try:
            succeeded, result = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended("its work") from error
        batch = self.pending.popleft()
        if not succeeded:
            raise result
        return batch, result

    def drain(self) -> None:
        """Wait for the answers to batches that nobody waits for any more."""
        while self.pending:
            self.receive()

    def close(self) -> None:
        """End the process; at once if it is at work."""
        if self.pending:
            self._process.terminate()
        self.connection.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def _ended(self, action: str) -> WorkerError:
        status = self._process.wait()
        self._output.seek(0)
        lines = [line.strip() for line in self._output.read().decode(errors="replace").splitlines() if line.strip()]
        why = f"signal {-status}" if status < 0 else f"exit status {status}"
        said = f"; its last line: {lines[-1]}" if lines else ""
        return WorkerError(
            f"worker {self.number} ended over {action} ({why}{said}). Finished samples are kept; continue with --resume"
        )


class ProcessPool:
    """The workers of one run on this machine, each in a process of its own.

    Args:
        work: the run, sent to the workers, which resolve it anew.
        environments: the environment variables of each worker.
        notify: receives a line about the workers.

    Raises:
        VtbenchError: the model cannot be loaded; the error is the worker's.
        WorkerError: a worker ended, or holds another model than the first.
    """

    def __init__(self, work: Work, environments: Sequence[Mapping[str, str]], notify: Notify) -> None:
        self._processes: list[_Process] = []
        try:
            for number, environment in enumerate(environments):
                process = _Process(number, environment)
                self._processes.append(process)
                process.send("load", (work, os.getcwd()))
            infos: list[WorkerInfo] = [process.receive()[1] for process in self._processes]
            for number, info in enumerate(infos):
                if keys := differing(info.identity, infos[0].identity):
                    raise WorkerError(f"worker {number} holds another model than worker 0: {', '.join(keys)}")
        except BaseException:
            self.close()
            raise
        self.model = infos[0]
        devices = [environment.get("CUDA_VISIBLE_DEVICES") for environment in environments]
        where = f"on the GPUs {', '.join(map(str, devices))}" if all(devices) else "on the CPU"
        notify(f"workers  {len(infos)} on this machine, {where}")

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit metrics on the task's first samples, on one worker."""
        if not wanted:
            return FitResult({}, ())
        first = self._processes[0]
        first.drain()
        first.send("fit", task, list(wanted), size)
        fitted: FitResult = first.receive()[1]
        return fitted

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """Send the fitted states to all workers."""
        for process in self._processes:
            process.drain()
            process.send("load_states", task, dict(states))
        facts: list[Mapping[str, Any]] = [process.receive()[1] for process in self._processes]
        return facts[0]

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Yield the batches in the order of `indices`, whichever worker is done first."""
        queue = BatchQueue(indices, sizes, max_pending=2 * BATCHES_PER_WORKER * len(self._processes))
        by_connection: dict[Connection, _Process] = {process.connection: process for process in self._processes}
        while not queue.done:
            self._dispatch(task, queue)
            busy = [process.connection for process in self._processes if process.pending]
            for connection in wait(busy):
                assert isinstance(connection, Connection)
                batch, result = by_connection[connection].receive()
                assert batch is not None
                yield from queue.complete(batch, result)

    def _dispatch(self, task: str, queue: BatchQueue) -> None:
        """Give each worker up to `BATCHES_PER_WORKER` batches, the least busy first."""
        for depth in range(BATCHES_PER_WORKER):
            for process in self._processes:
                if len(process.pending) == depth and (batch := queue.get()):
                    process.send("run_batch", task, list(batch.indices), batch=batch)

    def close(self) -> None:
        """End all workers."""
        for process in self._processes:
            process.close()
        self._processes.clear()
