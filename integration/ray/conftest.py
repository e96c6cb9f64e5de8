"""A real Ray cluster of two nodes on this machine, and `vtbench run` on it and without it as commands."""

# ruff: noqa: D103 (the names of tests and fixtures say it)

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ |= {
    "OMP_NUM_THREADS": "1",  # as in the workers, so that the last digits agree
    "PYTHONPATH": str(Path(__file__).parent),  # workers import the tests' plugins from here
    "RAY_AUTH_MODE": "disabled",  # the cluster is used by these tests alone
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "600000",  # a busy machine is slow
    "RAY_memory_monitor_refresh_ms": "0",  # else Ray kills workers when other programs fill the memory
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "10",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_worker_register_timeout_seconds": "600",
}

from ray.cluster_utils import Cluster

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process would ignore it

NODE = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
FREE_PORTS = (21000, 21010, 21020)
"""First port of each node's agents; given explicitly, as a node waits only 15 seconds for agents to choose one."""


def ports(first: int) -> dict[str, int]:
    names = ("metrics_export_port", "metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    return {name: first + i for i, name in enumerate(names)}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one core each."""
    found = Cluster(initialize_head=True, head_node_args=NODE | ports(FREE_PORTS[0]))
    found.add_node(**NODE, **ports(FREE_PORTS[1]))
    yield found
    found.shutdown()


LONG = "run --model oracle --tasks relational --metrics accuracy,rank_accuracy --limit 1200 --batch-size 8"
"""A run without torch that takes long enough to be killed."""


def begin(
    line: str, output: Path, cluster: Cluster | None, *more: str, workers: int | None = None
) -> subprocess.Popen[str]:
    count = f",workers={workers}" if workers else ""
    place = ["--executor", f"ray:address={cluster.address}{count}"] if cluster else []
    command = [sys.executable, "-m", "vtbench", *line.split(), "--no-report", "--output", str(output), *place, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(line: str, output: Path, cluster: Cluster | None, *more: str) -> Path:
    """Run a command to its end, and return the run's directory."""
    process = begin(line, output, cluster, *more)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return only_run(output)


def only_run(output: Path) -> Path:
    (path,) = (file.parent for file in output.glob("*/run.json"))
    return path


def content(path: Path) -> dict[str, Any]:
    """Return everything that a run writes, except times and places."""

    def rows(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) | {"seconds": 0} for line in (path / name).read_text().splitlines()]

    results = json.loads((path / "results.json").read_text())
    visual = {file.name: file.read_bytes() for file in (path / "visual").iterdir()}
    return {"rows": rows("samples.jsonl"), "batches": rows("batches.jsonl"), "results": results, "visual": visual}


def written(output: Path) -> int:
    """Return the number of samples written so far."""
    return sum(len(file.read_text().splitlines()) for file in output.glob("*/samples.jsonl"))


def wait_for(samples: int, output: Path, process: subprocess.Popen[str]) -> None:
    while written(output) < samples:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def workers() -> list[int]:
    """Return the ids of the processes that hold a model."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::RemoteWorker"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
