"""Runs on a real cluster leave the same files as runs on one machine, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from conftest import FREE_PORTS, LONG, NODE, begin, content, finish, only_run, ports, wait_for, workers

WHOLE = "run --model llava --tasks relational --limit 64 --batch-size 8 --device cpu"


@pytest.fixture(scope="module")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the long run of one machine."""
    return finish(LONG, tmp_path_factory.mktemp("here"), None)


def test_a_run_on_two_nodes_equals_one_on_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    """Answers, log-probabilities, RS and its fitted state, to the last digit."""
    local, remote = finish(WHOLE, tmp_path / "local", None), finish(WHOLE, tmp_path / "remote", cluster)
    assert content(remote) == content(local)
    digests = {json.loads((path / "run.json").read_text())["digest"] for path in (local, remote)}
    assert len(digests) == 1


def test_a_killed_worker_changes_nothing(cluster: Cluster, local_run: Path, tmp_path: Path) -> None:
    process = begin(LONG, tmp_path, cluster)
    wait_for(80, tmp_path, process)
    os.kill(workers()[0], signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "died" in errors
    assert content(only_run(tmp_path)) == content(local_run)


def test_a_run_interrupted_on_the_cluster_resumes_locally(cluster: Cluster, local_run: Path, tmp_path: Path) -> None:
    process = begin(LONG, tmp_path, cluster)
    wait_for(80, tmp_path, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "with --resume continues" in errors
    kept = (only_run(tmp_path) / "samples.jsonl").read_text()
    assert 80 <= len(kept.splitlines()) < 1200
    assert content(finish(LONG, tmp_path, None, "--resume")) == content(local_run)
    assert (only_run(tmp_path) / "samples.jsonl").read_text().startswith(kept)


def test_a_run_killed_locally_resumes_on_the_cluster(cluster: Cluster, local_run: Path, tmp_path: Path) -> None:
    process = begin(LONG, tmp_path, None)
    wait_for(80, tmp_path, process)
    process.kill()
    process.communicate()
    assert content(finish(LONG, tmp_path, cluster, "--resume")) == content(local_run)


def test_a_killed_node_changes_nothing(cluster: Cluster, local_run: Path, tmp_path: Path) -> None:
    node = cluster.add_node(**NODE, **ports(FREE_PORTS[2]))
    process = begin(LONG, tmp_path, cluster, workers=3)
    wait_for(80, tmp_path, process)
    cluster.remove_node(node, allow_graceful=False)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert content(only_run(tmp_path)) == content(local_run)


JOBS = """
import sys
from pathlib import Path
from vtbench.executor import Job
from vtbench.registry import Registry
note = "open({0!r}, 'a').write('x'); "
killed_once = note + "import os; len(open({0!r}).read()) == 2 or os.kill(os.getpid(), 9)"
jobs = [Job(n, (sys.executable, "-c", c.format(n)), Path("logs", n)) for n, c in (("a", note), ("b", killed_once))]
for ended in Registry().create("executor", "ray", {"address": sys.argv[1]}).run(jobs):
    print("ended", ended.name, ended.error)
"""


def test_a_killed_job_of_a_study_is_restarted(cluster: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-c", JOBS, cluster.address]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    # Ray warns of a busy machine on standard output
    ended = sorted(line for line in done.stdout.splitlines() if line.startswith("ended "))
    assert ended == ["ended a None", "ended b None"], done.stderr
    assert [(tmp_path / name).read_text() for name in "ab"] == ["x", "xx"]


def test_an_unreachable_address_is_an_error_of_one_line(tmp_path: Path) -> None:
    """A closed port, an unknown host, and a port of another server: our probe fails before Ray itself tries."""
    other = socket.create_server(("127.0.0.1", 0))
    for address, message in (
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: Connection refused"),
        ("nowhere.invalid:6379", "no Ray cluster answers at nowhere.invalid:6379"),
        (f"127.0.0.1:{other.getsockname()[1]}", "does not answer as a Ray cluster does"),
    ):
        command = [sys.executable, "-m", "vtbench", "run", "--model", "echo", "--tasks", "coarse", "--output",
                   str(tmp_path), "--executor", f"ray:address={address}"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list(tmp_path.iterdir())
