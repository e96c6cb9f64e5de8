"""Which GPU each worker of a run on this machine gets: one each, through CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec

from vtbench.errors import ExecutorError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def worker_environments(count: int, device: str, threads: int) -> list[dict[str, str]]:
    """Return the environment variables of each worker.

    Args:
        count: number of workers.
        device: of the run: `auto`, `cpu`, `cuda`, ...
        threads: that a worker computes with, where OMP_NUM_THREADS does not say so already.

    Raises:
        ExecutorError: there are fewer GPUs, or the device is a single one.
    """
    kind, _, number = device.partition(":")
    asked = f"{count} copies of the model (--data-parallel, local:workers)"
    if number:
        raise ExecutorError(f"{asked} take a GPU each, and --device {device} is one; write --device {kind}")
    if kind == "mps":
        raise ExecutorError(f"{asked} take a GPU each, and here is one; leave them out")
    shared = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)), "TOKENIZERS_PARALLELISM": "false"}
    gpus = visible_gpus() if kind in ("auto", "cuda") else []
    if not gpus and kind != "cuda":
        return [dict(shared) for _ in range(count)]
    if count > len(gpus):
        raise ExecutorError(
            f"{asked} take a GPU each, and there are {len(gpus)} GPUs here ({VISIBLE}={','.join(gpus)}); ask for as"
            " many, or write --device cpu"
        )
    return [{**shared, VISIBLE: gpu} for gpu in gpus[:count]]


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    if find_spec("torch") is None:
        return []
    count: int = import_module("torch").cuda.device_count()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return named[:count] if named else [str(index) for index in range(count)]
