"""The executor `local`: jobs in processes of their own, and one worker per run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from executor_fakes import questions, registry

import vtbench
from vtbench.engine.local import Local
from vtbench.errors import VtbenchError
from vtbench.executor import Job


def job(name: str, code: str, tmp_path: Path) -> Job:
    return Job(name, (sys.executable, "-c", code), tmp_path / "logs" / f"{name}.log")


def test_every_job_ends_and_a_failed_one_reports_its_last_line(tmp_path: Path) -> None:
    jobs = [
        job("good", "print('fine')", tmp_path),
        job("bad", "import sys; print('first'); sys.exit('the disk is full')", tmp_path),
        job("killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path),
    ]
    ended = {end.name: end.error for end in Local(2).run(jobs)}
    assert ended["good"] is None
    assert ended["bad"].startswith("the disk is full (exit status 1")
    assert ended["killed"].startswith("ended by signal 9")


def test_jobs_run_concurrently_and_share_the_cores(tmp_path: Path) -> None:
    """Each job waits until the other one has started, so that two jobs in sequence would not end."""
    code = (
        "import os, pathlib, sys, time; me, other = map(pathlib.Path, ({!r}, {!r})); me.touch()\n"
        "for _ in range(1200):\n"
        "    if other.exists(): print(os.environ['OMP_NUM_THREADS']); sys.exit()\n"
        "    time.sleep(0.05)\n"
        "sys.exit('the other job did not start')"
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    local = Local(2)
    jobs = [job("a", code.format(a, b), tmp_path), job("b", code.format(b, a), tmp_path)]
    assert [ended.error for ended in local.run(jobs)] == [None, None]
    assert (tmp_path / "logs" / "a.log").read_text().strip() == str(local.threads)


def test_closing_early_kills_running_jobs_and_starts_no_more(tmp_path: Path) -> None:
    wait = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(60)"
    files = [tmp_path / f"pid{i}" for i in range(2)]
    jobs = [job("quick", "pass", tmp_path), *(job(f.name, wait.format(str(f)), tmp_path) for f in files)]
    running = Local(1).run(jobs)
    assert next(running).name == "quick"
    while not (files[0].exists() and files[0].read_text()):
        time.sleep(0.05)
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(files[0].read_text()), 0)
    assert not files[1].exists()


def test_settings_of_a_local_run(tmp_path: Path) -> None:
    task = questions(tmp_path, 4)
    given = {"model": "batch_dependent", "tasks": [task], "output": str(tmp_path / "out"), "registry": registry()}
    with pytest.raises(VtbenchError, match="executor 'local:address=head' has no setting 'address'"):
        vtbench.run(**given, executor="local:address=head")
    with pytest.raises(VtbenchError, match=r"unknown executor 'rai'\. Did you mean 'ray'\?"):
        vtbench.run(**given, executor="rai")
    assert vtbench.run(**given, executor="local:workers=1").exit_status == 0


def test_a_missing_package_is_named_with_its_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("vtbench_ray.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(VtbenchError, match=r"executor 'ray': .*ray.*; install it with: pip install "):
        vtbench.run(model="batch_dependent", tasks=[questions(tmp_path, 4)], executor="ray", registry=registry())


def test_listing_executors_does_not_import_ray() -> None:
    code = "import sys, vtbench_ray; from vtbench.registry import Registry\n"
    code += (
        "assert list(Registry({'r': vtbench_ray}).named('executor')) == ['local', 'ray']; print('ray' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_zero_workers_are_rejected() -> None:
    with pytest.raises(VtbenchError, match="workers must be at least 1"):
        Local(0)
