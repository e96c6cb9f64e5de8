"""Driver side of a Ray run: dispatches batches to actors, yields results in order, replaces dead actors."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from vtbench.engine.batch_queue import BatchQueue, QueuedBatch
from vtbench.engine.remote_worker import RemoteWorker, WorkerInfo, task_settings
from vtbench.errors import WorkerError
from vtbench.executor import BatchResult, FitResult, Notify, State, Work
from vtbench.runs.provenance import differing
from vtbench_ray.cluster import Connection, WorkerResources
from vtbench_ray.errors import ClusterError, first_line

MAX_DEATHS = 3
"""Worker deaths that are tolerated over one batch, or per worker in a row while loading or fitting, before the run is
aborted."""
BATCHES_PER_WORKER = 2
"""Batches that are dispatched to a worker at once, so that it never waits for the next one."""
POLL_SECONDS = 5.0
"""Seconds without any result after which the nodes of the cluster are checked."""
RESUME_HINT = "Finished samples are kept; continue with --resume"


@dataclass(eq=False)
class WorkerHandle:
    """One actor as the driver sees it.

    Attributes:
        actor: Ray's handle.
        loading: the pending result of `RemoteWorker.load`; None once the model is loaded.
        info: what `load` returned.
        batches: dispatched to this actor and not yet returned, in the order of dispatch.
    """

    actor: ActorHandle
    loading: ray.ObjectRef | None
    info: WorkerInfo | None = None
    batches: dict[ray.ObjectRef, QueuedBatch] = field(default_factory=dict)


class RayWorkerPool:
    """The workers of one run on a cluster.

    Args:
        connection: closed together with the pool.
        resources: reserved for each worker.
        count: number of workers.
        work: the run, sent to the workers, which resolve it anew; every worker must find the same tasks.
        notify: receives messages on which workers run where, and which died.

    Raises:
        WorkerError: the workers keep dying, or differ from each other.
        VtbenchError: the model cannot be loaded; the error is the worker's.
    """

    def __init__(
        self,
        connection: Connection,
        resources: WorkerResources,
        count: int,
        work: Work,
        notify: Notify,
    ) -> None:
        self._connection, self._resources, self._count, self._notify = connection, resources, count, notify
        self._setup = ray.put((work, os.getcwd()))
        self._task_settings = task_settings(work.tasks)
        options: dict[str, Any] = {
            "num_cpus": resources.cpus,
            "num_gpus": resources.gpus,
            "scheduling_strategy": "SPREAD",
        }
        self._actor_class = ray.remote(RemoteWorker).options(**options)
        self._workers: list[WorkerHandle] = []
        self._current: tuple[str, ray.ObjectRef] | None = None  # the task that was begun, and its fitted states
        self._deaths = 0  # in a row, other than while running a batch
        self._reference: WorkerInfo | None = None  # of the first worker that loaded; all others must match it
        try:
            self._spawn()
            self._notify(f"workers  {count} with {resources} each, on the Ray cluster {connection.address}")
            self._any_loaded()
        except BaseException:
            self._shutdown()
            raise

    @property
    def model(self) -> WorkerInfo:
        """Description of the model that all workers hold."""
        assert self._reference is not None
        return self._reference

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit metrics on the task's first samples, on one worker."""
        if not wanted:
            return FitResult({}, ())
        result: FitResult = self._call_any(lambda actor: actor.fit.remote(task, list(wanted), size), f"fitting {task}")
        return result

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """Send the fitted states to all workers; those that are spawned later get them after loading."""
        self._current = current = task, ray.put(dict(states))
        for worker in [worker for worker in self._workers if worker.info][1:]:
            worker.actor.load_states.remote(*current)
        facts: Mapping[str, Any] = self._call_any(
            lambda actor: actor.load_states.remote(*current), f"loading the fitted state of {task}"
        )
        return facts

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Run samples in batches, and yield the batches in the order of `indices`."""
        queue = BatchQueue(indices, sizes, max_pending=2 * BATCHES_PER_WORKER * self._count)
        while not queue.done:
            self._dispatch(task, queue)
            for worker, ref in self._poll(queue):
                batch = worker.batches[ref]
                result = self._get(worker, ref, queue, f"{task} {batch.indices[0]} to {batch.indices[-1]}")
                if result is not None and worker in self._workers:
                    del worker.batches[ref]
                    self._deaths = 0
                    yield from queue.complete(batch, result)

    def close(self) -> None:
        """End all workers, and disconnect from the cluster."""
        try:
            refs = [worker.actor.close.remote() for worker in self._workers if worker.info and not worker.batches]
            if refs:
                ray.wait(refs, num_returns=len(refs), timeout=POLL_SECONDS)
            self._shutdown()
        finally:
            self._connection.close()

    def _spawn(self) -> None:
        """Create actors until there are `count`, and let each load the model."""
        while len(self._workers) < self._count:
            actor = self._actor_class.remote()
            self._workers.append(WorkerHandle(actor, actor.load.remote(self._setup)))

    def _shutdown(self) -> None:
        """Kill all actors."""
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers.clear()

    def _dispatch(self, task: str, queue: BatchQueue) -> None:
        """Fill the loaded workers up to `BATCHES_PER_WORKER`, the least busy first."""
        loaded = [worker for worker in self._workers if worker.info]
        for depth in range(BATCHES_PER_WORKER):
            for worker in loaded:
                if len(worker.batches) == depth and (batch := queue.get()):
                    worker.batches[worker.actor.run_batch.remote(task, list(batch.indices))] = batch

    def _poll(self, queue: BatchQueue | None = None) -> list[tuple[WorkerHandle, ray.ObjectRef]]:
        """Wait for results, handle workers that finished loading, and return the batches that are done."""
        owners = {
            ref: worker
            for worker in self._workers
            for ref in (*([worker.loading] if worker.loading else ()), *worker.batches)
        }
        done, _ = ray.wait(list(owners), num_returns=1, timeout=POLL_SECONDS)
        if not done:
            self._check_capacity()
            return []
        done, _ = ray.wait(list(owners), num_returns=len(owners), timeout=0)
        for ref in done:
            if ref == owners[ref].loading:
                self._on_loaded(owners[ref], queue)
        return [(owners[ref], ref) for ref in done if ref in owners[ref].batches]

    def _on_loaded(self, worker: WorkerHandle, queue: BatchQueue | None) -> None:
        """Take a worker that finished loading into use, if it matches the first one."""
        assert worker.loading is not None
        info: WorkerInfo | None = self._get(worker, worker.loading, queue, "loading the model")
        if info is None:
            return
        worker.loading, worker.info = None, info
        if self._reference is None:
            self._reference = info
            local = {"model": info.identity["model"], **self._task_settings}
            self._check_identical(info, local, "this command")
        else:
            self._check_identical(info, self._reference.identity, f"the worker on {self._reference.location}")
        if self._current:
            worker.actor.load_states.remote(*self._current)

    @staticmethod
    def _check_identical(info: WorkerInfo, other: Mapping[str, Any], owner: str) -> None:
        if keys := differing(info.identity, other):
            raise WorkerError(
                f"the worker on {info.location} differs from {owner} in {', '.join(keys)}; all nodes need the same "
                "files, packages and kind of device"
            )

    def _get(self, worker: WorkerHandle, ref: ray.ObjectRef, queue: BatchQueue | None, action: str) -> Any:
        """Return the result of a call; None if the worker died, which is then replaced.

        Raises:
            VtbenchError: the call raised it in the worker.
            WorkerError: too many workers died during this action.
        """
        try:
            return ray.get(ref)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            self._on_death(worker, queue, action, first_line(error))
            return None

    def _on_death(self, worker: WorkerHandle, queue: BatchQueue | None, action: str, reason: str) -> None:
        """Requeue the batches of a dead worker and spawn another, or abort after too many deaths."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        ray.kill(worker.actor)
        running = next(iter(worker.batches.values()), None)  # the batch it died over; the others only waited
        if running is not None and queue is not None:
            running.deaths += 1
            queue.requeue(list(worker.batches.values()))
        else:
            self._deaths += 1
        if (running is not None and running.deaths > MAX_DEATHS) or self._deaths > MAX_DEATHS * self._count:
            raise WorkerError(f"workers keep dying during {action}; last error: {reason}. {RESUME_HINT}")
        location = f" on {worker.info.location}" if worker.info else ""
        self._notify(f"worker{location} died ({reason}); repeating {action}")
        self._spawn()

    def _any_loaded(self) -> WorkerHandle:
        """Wait until some worker has loaded the model, and return it."""
        while not (loaded := [worker for worker in self._workers if worker.info]):
            self._poll()
        return loaded[0]

    def _call_any(self, call: Callable[[ActorHandle], ray.ObjectRef], action: str) -> Any:
        """Call one loaded worker, and another one if it dies."""
        while True:
            worker = self._any_loaded()
            ref = call(worker.actor)
            if (result := self._get(worker, ref, None, action)) is not None:
                return result

    def _check_capacity(self) -> None:
        """Called when no result arrives: check that a lost worker can be replaced.

        Raises:
            ClusterError: no worker is left and no node has the resources for one.
        """
        if not any(worker.info for worker in self._workers):
            try:
                self._connection.capacity(self._resources)
            except ClusterError as error:
                raise ClusterError(f"{error}. {RESUME_HINT}") from error
