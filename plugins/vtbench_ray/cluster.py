"""Connection to a Ray cluster: its address, the resources of its nodes, and how many workers fit on them."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray

from vtbench_ray.errors import ClusterError, first_line

PROBE_TIMEOUT = 5.0
"""Seconds that a port has to answer the probe; `ray.init` then has twice as long."""
_HEADER_SIZE = 9
_SETTINGS_FRAME = b"\4"
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS_FRAME + bytes(5)
"""Connection preface of HTTP/2, which a Ray head speaks. The answer begins with a SETTINGS frame (RFC 9113, sections
3.4 and 4.1)."""


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """CPU cores and GPUs that each worker reserves on its node."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return _quantity(self.cpus, "CPU") + (f" and {_quantity(self.gpus, 'GPU')}" if self.gpus else "")

    def workers_on(self, node: Mapping[str, float]) -> int:
        """Return how many workers fit on a node with these resources.

        >>> WorkerResources(2, 0.5).workers_on({"CPU": 8, "GPU": 1})
        2
        >>> WorkerResources(2, 0).workers_on({"CPU": 5}), WorkerResources(1, 1).workers_on({"CPU": 8})
        (2, 0)
        """
        required = {"CPU": self.cpus, "GPU": self.gpus}
        return min(math.floor(node.get(name, 0) / n + 1e-9) for name, n in required.items() if n)


class Connection:
    """Connection to the cluster at `address`. One that this process already has is reused, and not closed.

    Raises:
        ClusterError: no Ray cluster answers there; raised within 15 seconds, with a message of one line.
    """

    def __init__(self, address: str | None) -> None:
        self._owned = not ray.is_initialized()
        if self._owned:
            target = address or os.environ.get("RAY_ADDRESS")
            if target not in (None, "auto", "local"):
                _probe(target)
            _connect(target)

    @property
    def address(self) -> str:
        """Address of the head node."""
        return str(ray.get_runtime_context().gcs_address)

    @staticmethod
    def nodes() -> list[Mapping[str, float]]:
        """Return the total resources of each living node."""
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def capacity(self, resources: WorkerResources) -> int:
        """Return how many workers fit on all nodes, ignoring the load of other jobs.

        Raises:
            ClusterError: none fits.
        """
        nodes = self.nodes()
        if capacity := sum(resources.workers_on(node) for node in nodes):
            return capacity
        available = sorted({str(WorkerResources(node.get("CPU", 0), node.get("GPU", 0))) for node in nodes})
        raise ClusterError(
            f"no node of {self.address} has {resources} for a worker (they have {', '.join(available)}); ask for less"
        )

    def close(self) -> None:
        """Disconnect; a local cluster that was started for this command is stopped."""
        if self._owned:
            ray.shutdown()


def _quantity(n: float, unit: str) -> str:
    return f"{n:g} {unit}" + "s" * (n != 1)


def _probe(address: str) -> None:
    """Check that a Ray head listens at the address: `ray.init` itself would retry for two minutes."""
    if "://" in address:
        raise ClusterError(f"{address}: give HOST:PORT of the head, and run this command on a machine of the cluster")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ClusterError(
            f"{address!r} is not an address; write HOST:PORT, as `ray status` and `ray start --head` show it"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT) as connection:
            connection.settimeout(PROBE_TIMEOUT)
            if os.environ.get("RAY_USE_TLS") not in ("1", "true"):
                connection.sendall(_HTTP2_PREFACE)
                if connection.recv(_HEADER_SIZE)[3:4] != _SETTINGS_FRAME:
                    raise ClusterError(f"{address}: something other than a Ray cluster listens there")
    except TimeoutError as error:
        raise ClusterError(f"{address}: what listens there does not answer as a Ray cluster does") from error
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClusterError(f"no Ray cluster answers at {address}: {reason}; is it up, and is this its head?") from error


def _connect(address: str | None) -> None:
    """Call `ray.init`, in a thread of its own when it connects to a running cluster: it has no timeout argument."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here sends no usage statistics
    errors: list[Exception] = []
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    starts_cluster = address in (None, "local")
    if starts_cluster:
        settings["include_dashboard"] = False

    def connect() -> None:
        try:
            ray.init(address=address, **settings)
        except Exception as error:
            errors.append(error)

    if starts_cluster:
        connect()  # not in a thread: the processes that it starts end with the thread that started them
    else:
        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(2 * PROBE_TIMEOUT)
        if thread.is_alive():
            raise ClusterError(f"{address}: no Ray cluster answers; if it requires a token, set RAY_AUTH_MODE=token")
    if errors:
        target = address or "this machine"
        raise ClusterError(f"no Ray cluster could be reached at {target}: {first_line(errors[0])}") from errors[0]
