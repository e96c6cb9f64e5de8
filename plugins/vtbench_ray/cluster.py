"""The way to a cluster: an address in, a connection and the room that its nodes have out."""

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

PATIENCE = 5.0
"""Seconds that a port gets to answer, and after it Ray's own greeting twice as many."""
_FRAME = 9
_SETTINGS = b"\4"
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
"""How HTTP/2, which Ray's head speaks, begins. The answer begins with a frame of settings (RFC 9113, 3.4 and 4.1)."""


@dataclass(frozen=True, slots=True)
class Need:
    """What each worker takes of its node."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return _counted(self.cpus, "CPU") + (f" and {_counted(self.gpus, 'GPU')}" if self.gpus else "")

    def fit(self, node: Mapping[str, float]) -> int:
        """How many workers a node has room for.

        >>> Need(2, 0.5).fit({"CPU": 8, "GPU": 1}), Need(2, 0).fit({"CPU": 5}), Need(1, 1).fit({"CPU": 8})
        (2, 2, 0)
        """
        asked = {"CPU": self.cpus, "GPU": self.gpus}
        return min(math.floor(node.get(name, 0) / n + 1e-9) for name, n in asked.items() if n)


class Connection:
    """A connection to the cluster at `address`; one that this process has already is used, and left open.

    Raises:
        ClusterError: nothing answers there, in one line and within a quarter of a minute.
    """

    def __init__(self, address: str | None) -> None:
        self._owned = not ray.is_initialized()
        if self._owned:
            where = address or os.environ.get("RAY_ADDRESS")
            if where not in (None, "auto", "local"):
                _knock(where)
            _greet(where)

    @property
    def place(self) -> str:
        """The address of the cluster's head."""
        return str(ray.get_runtime_context().gcs_address)

    @staticmethod
    def nodes() -> list[Mapping[str, float]]:
        """What each living node has in all."""
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def room(self, need: Need) -> int:
        """How many workers the nodes have room for, were nobody else there.

        Raises:
            ClusterError: for none.
        """
        nodes = self.nodes()
        if found := sum(need.fit(node) for node in nodes):
            return found
        there = ", ".join(sorted({str(Need(node.get("CPU", 0), node.get("GPU", 0))) for node in nodes}))
        raise ClusterError(f"no node of {self.place} has {need} for a worker (they have {there}); ask for less")

    def close(self) -> None:
        """Leave the cluster; one that was begun for this command ends."""
        if self._owned:
            ray.shutdown()


def _counted(n: float, what: str) -> str:
    return f"{n:g} {what}" + "s" * (n != 1)


def _knock(address: str) -> None:
    """See that somebody listens: Ray itself would try for two minutes."""
    if "://" in address:
        raise ClusterError(f"{address}: give HOST:PORT of the head, and run this command on a machine of the cluster")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ClusterError(
            f"{address!r} is no address; write HOST:PORT, as `ray status` and `ray start --head` show it"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as there:
            there.settimeout(PATIENCE)
            if os.environ.get("RAY_USE_TLS") not in ("1", "true"):
                there.sendall(_HELLO)
                if there.recv(_FRAME)[3:4] != _SETTINGS:
                    raise ClusterError(f"{address}: something else than a Ray cluster listens there")
    except TimeoutError as error:
        raise ClusterError(f"{address}: what listens there does not answer as a Ray cluster does") from error
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ClusterError(f"no Ray cluster answers at {address}: {why}; is it up, and is this its head?") from error


def _greet(address: str | None) -> None:
    """Begin a cluster here, or connect: in a thread of its own, as Ray cannot be told how long to try."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is begun here reports to nobody
    told: list[Exception] = []
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    begins = address in (None, "local")
    if begins:
        settings["include_dashboard"] = False

    def connect() -> None:
        try:
            ray.init(address=address, **settings)
        except Exception as error:
            told.append(error)

    if begins:
        connect()  # the processes that it starts end with the thread that started them
    else:
        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(2 * PATIENCE)
        if thread.is_alive():
            raise ClusterError(f"{address}: no Ray cluster answers; if it wants a token, set RAY_AUTH_MODE=token")
    if told:
        where = address or "this machine"
        raise ClusterError(f"no Ray cluster could be reached at {where}: {first_line(told[0])}") from told[0]
