"""The executor `ray`: a run's samples, and a study's models, over the machines of a Ray cluster.

Importing this package imports no Ray; using it does.
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
    """A Ray cluster: `--address HOST:PORT`, or the one that runs on this machine, or cores of this machine alone.

    Args:
        address: of the cluster's head; by default what RAY_ADDRESS says, else a cluster that this machine is part of,
            else one that is begun for this command.
        workers: at once; by default as many as all nodes together have room for.
        cpus_per_worker: cores of each, and so the threads that its model computes with.
        gpus_per_worker: GPUs of each, or a part of one; by default 1 where the cluster has any and the device is not
            the CPU, else none.

    Raises:
        VtbenchError: a number that cannot be.
    """
    from vtbench_ray.executor import RayExecutor

    return RayExecutor(address, workers, cpus_per_worker, gpus_per_worker)


@vtbench.hookimpl
def vtbench_executors() -> dict[str, Callable[..., Executor]]:
    """Offer `ray`."""
    return {"ray": ray}
