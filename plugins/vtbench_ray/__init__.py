"""The executor `ray`: distributes the samples of a run, or the models of a study, over a Ray cluster.

Importing this package does not import Ray; creating an executor does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import vtbench

if TYPE_CHECKING:
    from vtbench.executor import Executor


def ray(
    address: str | None = None,
    workers: int | None = None,
    cpus_per_worker: float = 1,
    gpus_per_worker: float | None = None,
) -> Executor:
    """A Ray cluster: ray:address=HOST:PORT,workers=N; without address the one here, or this machine's cores.

    Args:
        address: of the head node; default: RAY_ADDRESS, else the cluster that this machine belongs to, else a local
            cluster that lasts as long as the command.
        workers: number of concurrent workers; default: as many as fit on all nodes together.
        cpus_per_worker: CPU cores per worker, and so the number of threads that its model computes with.
        gpus_per_worker: GPUs per worker, may be a fraction; default: 1 if the cluster has GPUs and the device is not
            the CPU, else 0.

    Raises:
        VtbenchError: a number is out of range.
    """
    from vtbench_ray.executor import RayExecutor

    return RayExecutor(address, workers, cpus_per_worker, gpus_per_worker)


@vtbench.hookimpl
def vtbench_executors() -> dict[str, Callable[..., Executor]]:
    """Register `ray`."""
    return {"ray": ray}
