"""A Ray cluster as an executor: settings in, the crew of a run or a study's jobs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from vtbench.config import RunConfig
from vtbench.engine.batching import FIRST_SIZE
from vtbench.errors import VtbenchError
from vtbench.executor import Job, JobResult, Notify
from vtbench.registry import Registry
from vtbench.types import Task
from vtbench_ray.cluster import Connection, Need
from vtbench_ray.crew import RayCrew
from vtbench_ray.jobs import run_jobs


class RayExecutor:
    """Work on a cluster; see `vtbench_ray.ray` for the settings."""

    def __init__(self, address: str | None, workers: int | None, cpus: float, gpus: float | None) -> None:
        if workers is not None and workers < 1:
            raise VtbenchError(f"workers must be at least 1, not {workers}")
        if cpus <= 0 or (gpus or 0) < 0:
            raise VtbenchError(
                f"a worker takes more than 0 CPUs and no less than 0 GPUs, not {cpus:g} and {gpus or 0:g}"
            )
        self._address, self._workers, self._cpus, self._gpus = address, workers, cpus, gpus

    def crew(self, config: RunConfig, tasks: Sequence[Task], registry: Registry, say: Notify) -> RayCrew:
        """Create the model of a run in every worker.

        Raises:
            ClusterError: the cluster does not answer, or has no room.
            VtbenchError: the model cannot be loaded there.
        """
        connection = Connection(self._address)
        try:
            need = self._need(connection, config.device)
            few = max(1, sum(map(len, tasks)) // FIRST_SIZE)  # more could not all be busy
            count = self._workers or min(connection.room(need), few)
            return RayCrew(connection, need, count, config, tasks, registry, say)
        except BaseException:
            connection.close()
            raise

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Yield word of each job as it ends. Closed early, it ends the others.

        Raises:
            ClusterError: the cluster does not answer, or has no room.
        """
        with closing(Connection(self._address)) as connection:
            need = self._need(connection, "auto")
            yield from run_jobs(jobs, need, self._workers or connection.room(need))

    def _need(self, connection: Connection, device: str) -> Need:
        """What a worker takes, once it is known that some node has it."""
        gpus = self._gpus
        if gpus is None:
            gpus = float(device != "cpu" and any(node.get("GPU") for node in connection.nodes()))
        need = Need(self._cpus, gpus)
        connection.room(need)
        return need
