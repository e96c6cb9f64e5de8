"""A scratch directory for each documented command and block of Python, without a network."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is first imported: the tests run in two processes
os.environ["HF_HUB_OFFLINE"] = "1"

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented import ROOT
from endpoint_fakes import FakeEndpoint, serve

sys.path += [str(ROOT / "tests" / folder) for folder in ("imports", "study", "training")]
_HERE = ("127.0.0.1", "::1", "localhost")
_connect = socket.socket.connect


def _connect_here(self: socket.socket, address: object) -> None:
    if isinstance(address, tuple) and address[0] not in _HERE:
        raise OSError(f"no network here: {address}")
    _connect(self, address)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for stand-ins that are made once."""
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty directory the working directory and the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", _connect_here)
    return tmp_path


@pytest.fixture(scope="session")
def endpoint() -> Iterator[FakeEndpoint]:
    """Serve models of the names that the docs use."""
    with serve(FakeEndpoint(models=("NAME", "llava", "mine"), scores=True)) as served:
        yield served
