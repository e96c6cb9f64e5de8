"""A study's jobs on a cluster are restarted if they are killed, and only then."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_ray import Cluster, install_fake_ray

from vtbench.errors import VtbenchError
from vtbench.executor import Executor, Job, JobResult
from vtbench.registry import Registry


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    monkeypatch.chdir(tmp_path)
    return install_fake_ray(monkeypatch, [{"CPU": 2.0}, {"CPU": 2.0}])


def executor(**settings: float) -> Executor:
    import vtbench_ray

    return Registry({"ray": vtbench_ray}).create("executor", "ray", settings)


def job(name: str, code: str) -> Job:
    return Job(name, (sys.executable, "-c", code), Path("logs", f"{name}.log"))


def ended(jobs: list[Job], **settings: float) -> dict[str, JobResult]:
    return {end.name: end for end in executor(**settings).run(jobs)}


NOTED = "import os; open('began', 'a').write('x'); "


def test_every_job_ends_and_a_failed_one_reports_its_last_line(cluster: Cluster, tmp_path: Path) -> None:
    threads = "import os; print(os.environ['OMP_NUM_THREADS'], os.getcwd())"
    found = ended([job("good", threads), job("bad", "import sys; sys.exit('the disk is full')")], cpus_per_worker=2)
    assert found["good"].error is None
    assert (tmp_path / "logs/good.log").read_text().split() == ["2", str(tmp_path)]
    assert (found["bad"].error or "").startswith("the disk is full (exit status 1; ")
    assert cluster.options["num_cpus"] == 2
    assert not cluster.connected


def test_a_killed_job_is_restarted_and_a_failed_one_is_not(cluster: Cluster, tmp_path: Path) -> None:
    assert ended([job("bad", NOTED + "raise SystemExit(3)")])["bad"].error
    assert (tmp_path / "began").read_text() == "x"
    once = NOTED + "len(open('began').read()) == 3 or os.kill(os.getpid(), 9)"
    assert ended([job("killed", once)])["killed"].error is None
    assert (tmp_path / "began").read_text() == "xxx"


def test_a_job_whose_node_dies_is_restarted_at_most_three_times(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deaths = {"run": {1, 2}}
    assert [end.error for end in ended([job("a", NOTED), job("b", NOTED)], workers=1).values()] == [None, None]
    assert (tmp_path / "began").read_text() == "xx"
    cluster.deaths = {"run": set(range(100))}
    assert "killed 4 times; last error: The actor died" in (ended([job("a", NOTED)])["a"].error or "")


def test_closing_early_kills_the_other_jobs(cluster: Cluster, tmp_path: Path) -> None:
    running = executor(workers=2).run([job(name, NOTED) for name in "abcd"])
    assert next(iter(running)).error is None
    running.close()  # type: ignore[attr-defined]
    assert (tmp_path / "began").read_text() == "x"
    assert not cluster.connected


def test_a_job_that_fits_on_no_node_is_rejected(cluster: Cluster) -> None:
    with pytest.raises(VtbenchError, match="no node of here:6379 has 1 CPU and 2 GPUs"):
        ended([job("a", NOTED)], gpus_per_worker=2)
