"""Several copies of a model on this machine: results are those of one, each has its GPU, a dead one is named."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from executor_fakes import questions, registry

import vtbench
from vtbench.config import RunConfig
from vtbench.engine import worker_devices
from vtbench.engine.process_pool import ProcessPool
from vtbench.engine.worker import RunWork
from vtbench.engine.worker_devices import worker_environments
from vtbench.errors import AdapterError, ExecutorError, VtbenchError, WorkerError


def run(task: Path, output: Path, **more: Any) -> vtbench.RunResult:
    given: dict[str, Any] = {"tasks": [task], "output": str(output), "batch_size": 3, "report": False, "device": "cpu"}
    return vtbench.run(**{"model": "batch_dependent", "registry": registry(), **given, **more})


def timeless(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def test_two_copies_give_what_one_gives(tmp_path: Path) -> None:
    task = questions(tmp_path / "task", 20)
    one, two = run(task, tmp_path / "one"), run(task, tmp_path / "two", data_parallel=2)
    for name in ("samples.jsonl", "batches.jsonl"):
        assert timeless(two.path / name) == timeless(one.path / name)
    assert two.document["scores"] == one.document["scores"]
    facts = [json.loads((result.path / "run.json").read_text()) for result in (one, two)]
    assert facts[0]["digest"] == facts[1]["digest"]


def test_a_run_begun_by_one_is_finished_by_two(tmp_path: Path) -> None:
    task = questions(tmp_path / "task", 12)
    with pytest.raises(AdapterError, match="the model broke"):
        run(task, tmp_path / "out", model_args={"breaks_on": "question 7?"})
    with pytest.raises(AdapterError, match="the model broke"):
        run(task, tmp_path / "out", model_args={"breaks_on": "question 7?"}, data_parallel=2, resume=True)
    (directory,) = (tmp_path / "out").iterdir()
    assert [row["index"] for row in timeless(directory / "samples.jsonl")] == [*range(6)]


@contextmanager
def pool(task: Path, **model_args: Any) -> Iterator[ProcessPool]:
    config = RunConfig(model="batch_dependent", tasks=[str(task)], model_args=model_args, report=False)
    work = RunWork(config, registry())
    with closing(ProcessPool(work, [{}, {}], lambda line: None)) as made:
        yield made


def test_a_worker_that_dies_is_named_and_finished_samples_are_kept(tmp_path: Path) -> None:
    with pool(questions(tmp_path, 9)) as made:
        made.load_states("quiz", {})
        batches = made.run_batches("quiz", range(9), repeat(1))
        assert next(batches).start == 0
        os.kill(made._processes[1]._process.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"worker 1 ended over .* \(signal 9.*continue with --resume"):
            list(batches)


def test_all_workers_end_with_the_pool(tmp_path: Path) -> None:
    with pool(questions(tmp_path, 9)) as made:
        processes = [process._process for process in made._processes]
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)


def gpus(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(worker_devices, "visible_gpus", lambda: list(names))


def test_each_worker_gets_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, "2", "3", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environments = worker_environments(2, "auto", threads=4)
    assert [each["CUDA_VISIBLE_DEVICES"] for each in environments] == ["2", "3"]
    assert {each["OMP_NUM_THREADS"] for each in environments} == {"7"}
    assert all("CUDA_VISIBLE_DEVICES" not in each for each in worker_environments(9, "cpu", threads=4))


@pytest.mark.parametrize(
    ("device", "names", "says"),
    [
        ("auto", ["0"], r"2 copies of the model .* and there are 1 GPUs here \(CUDA_VISIBLE_DEVICES=0\)"),
        ("cuda", [], "there are 0 GPUs here"),
        ("cuda:1", ["0", "1"], "--device cuda:1 is one; write --device cuda"),
        ("mps", [], "here is one"),
    ],
)
def test_more_copies_than_gpus_are_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, names: list[str], says: str
) -> None:
    gpus(monkeypatch, *names)
    with pytest.raises(ExecutorError, match=says):
        worker_environments(2, device, threads=1)


def test_gpus_that_the_user_chose_are_those_that_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6")
    assert worker_devices.visible_gpus() == ["4", "6"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert worker_devices.visible_gpus() == ["0", "1"]


def test_it_is_this_machine_alone(tmp_path: Path) -> None:
    task = questions(tmp_path, 4)
    with pytest.raises(VtbenchError, match="--data-parallel: the copies run on this machine"):
        run(task, tmp_path, data_parallel=2, executor="ray")
    with pytest.raises(VtbenchError, match="--check-batching: answers are compared here"):
        run(task, tmp_path, data_parallel=2, check_batching=True)
    with pytest.raises(VtbenchError, match="--data-parallel: must be greater than or equal to 1"):
        run(task, tmp_path, data_parallel=0)
