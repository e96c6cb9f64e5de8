"""Runs on a fake cluster leave the same records in the same order as local ones, whichever workers die."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fake_ray
import pytest
from executor_fakes import BatchDependent, questions, registry
from fake_ray import Cluster, install_fake_ray

import vtbench
from vtbench.errors import AdapterError, ResultsError, VtbenchError
from vtbench.runs.results import RunResult
from vtbench.types import Sample


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return install_fake_ray(monkeypatch, [{"CPU": 2.0}, {"CPU": 2.0}])


def go(task: Path, **fields: Any) -> RunResult:
    given = {"model": "batch_dependent", "tasks": [task], "output": str(task.parent / "out"), "registry": registry()}
    return vtbench.run(**{**given, "batch_size": 4, "report": False, **fields})


def content(path: Path) -> dict[str, Any]:
    """Return everything that a run writes, except times and places."""
    rows = [json.loads(line) | {"seconds": 0} for line in (path / "samples.jsonl").read_text().splitlines()]
    visual = {file.name: file.read_bytes() for file in (path / "visual").iterdir()}
    batches = [json.loads(line) | {"seconds": 0} for line in (path / "batches.jsonl").read_text().splitlines()]
    digest = json.loads((path / "run.json").read_text())["digest"]
    return {
        "rows": rows,
        "visual": visual,
        "batches": batches,
        "results": (path / "results.json").read_text(),
        "d": digest,
    }


@pytest.mark.parametrize("latest_first", [False, True])
def test_a_run_equals_a_local_one(tmp_path: Path, cluster: Cluster, latest_first: bool) -> None:
    """A model whose answers depend on the batch, a failing sample, a batch that is out of memory, two tasks."""
    tasks = [questions(tmp_path, 30), questions(tmp_path, 9, name="more")]
    common = {"tasks": tasks, "model_args": {"fails_on": ["question 7?"], "fits": 3}}
    here = go(tasks[0], **common)
    cluster.latest_first = latest_first
    there = go(tasks[0], **common, executor="ray")
    assert content(there.path) == content(here.path)
    assert len(cluster.actors) == 4, "one worker for every core, each with its own model"
    assert cluster.options == {"num_cpus": 1, "num_gpus": 0.0, "scheduling_strategy": "SPREAD"}
    assert cluster.calls["fit"] == 2, "once a task"
    assert not cluster.connected


def test_no_image_leaves_a_worker(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[bytes] = []
    real = fake_ray.pack

    def pack(value: Any) -> bytes:
        packed.append(real(value))
        return packed[-1]

    monkeypatch.setattr(fake_ray, "pack", pack)
    go(questions(tmp_path, 24, metrics="[right]"), executor="ray:workers=2")
    assert packed
    assert not any(b"PIL" in each for each in packed)
    assert max(map(len, packed)) < 64 * 64 * 3, "smaller than one image"


@pytest.mark.parametrize(
    "deaths",
    [
        {"run_batch": {3}},
        {"run_batch": {1, 2, 3}},
        {"load": {1}},
        {"fit": {1}},
        {"load_states": {1}},
        {"load": {2}, "run_batch": {5}},
    ],
)
def test_a_killed_worker_is_replaced_and_nothing_is_lost(
    tmp_path: Path, cluster: Cluster, deaths: dict[str, set[int]]
) -> None:
    task = questions(tmp_path, 40)
    here = go(task)
    cluster.deaths = deaths
    there = go(task, executor="ray:workers=2")
    assert content(there.path) == content(here.path)
    assert len(cluster.actors) > 2


def test_a_batch_that_kills_every_worker_aborts_the_run_and_keeps_the_rest(tmp_path: Path, cluster: Cluster) -> None:
    task = questions(tmp_path, 40)
    cluster.deaths = {"run_batch": set(range(5, 100))}
    with pytest.raises(
        VtbenchError, match=r"workers keep dying during quiz \d+ to \d+; last error: The actor died .* --resume"
    ):
        go(task, executor="ray:workers=1")
    (path,) = (tmp_path / "out").iterdir()
    assert len((path / "samples.jsonl").read_text().splitlines()) == 16
    assert not cluster.connected
    cluster.deaths = {}
    assert content(go(task, executor="ray", resume=True).path) == content(go(task).path)


def test_workers_that_die_while_loading_abort_the_run(tmp_path: Path, cluster: Cluster) -> None:
    cluster.deaths = {"load": set(range(1, 100))}
    with pytest.raises(VtbenchError, match="workers keep dying during loading the model"):
        go(questions(tmp_path, 8), executor="ray")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("first", ["local", "ray"])
def test_a_run_resumes_on_another_executor(
    tmp_path: Path, cluster: Cluster, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = questions(tmp_path, 40)
    whole = go(task, output=str(tmp_path / "whole"))
    asked = BatchDependent.generate

    def interrupted(self: BatchDependent, samples: Sequence[Sample], *arguments: Any) -> Any:
        if any(sample.prompt == "question 38?" for sample in samples):
            raise KeyboardInterrupt
        return asked(self, samples, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BatchDependent, "generate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go(task, executor=first)
    (path,) = (tmp_path / "out").iterdir()
    kept = (path / "samples.jsonl").read_text()
    assert 0 < len(kept.splitlines()) < 40
    second = {"local": "ray", "ray": "local"}[first]
    resumed = go(task, executor=second, resume=True)
    assert resumed.path == path
    assert (path / "samples.jsonl").read_text().startswith(kept)
    assert content(path) == content(whole.path)


def test_errors_of_a_worker_are_raised_by_the_driver(tmp_path: Path, cluster: Cluster) -> None:
    task = questions(tmp_path, 40)
    with pytest.raises(AdapterError, match=r"^the model broke$"):
        go(task, executor="ray", model_args={"breaks_on": "question 20?"})
    (path,) = (tmp_path / "out").iterdir()
    assert not cluster.connected
    with pytest.raises(VtbenchError, match="the first 8 samples all failed with one type of error: refused"):
        go(task, executor="ray", model_args={"fails_on": ["*"]}, metrics=["right"])
    with pytest.raises(ResultsError, match=r"differs in limit"):
        go(task, executor="ray", limit=5, resume=str(path))


def test_workers_that_differ_are_rejected(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    task = questions(tmp_path, 40)
    described = iter(["a", "b", "c", "d"])
    monkeypatch.setattr(BatchDependent, "describe", lambda self: {"device": "cpu", "fingerprint": next(described)})
    with pytest.raises(VtbenchError, match=r"differs from the worker on .* in model.fingerprint \(\"a\""):
        go(task, executor="ray")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("workers=0", "workers must be at least 1, not 0"),
        ("cpus_per_worker=3", r"no node of here:6379 has 3 CPUs for a worker \(they have 2 CPUs\)"),
        ("gpus_per_worker=1", "no node of here:6379 has 1 CPU and 1 GPU for a worker"),
        ("cpus_per_worker=0", "more than 0 CPUs"),
        ("address=ray://head:10001", "give HOST:PORT of the head"),
        ("address=head", "'head' is not an address; write HOST:PORT"),
        ("address=127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: Connection refused"),
    ],
)
def test_invalid_settings_are_rejected_before_anything_is_written(
    tmp_path: Path, cluster: Cluster, settings: str, message: str
) -> None:
    with pytest.raises(VtbenchError, match=message):
        go(questions(tmp_path, 8), executor=f"ray:{settings}")
    assert not (tmp_path / "out").exists()
    assert not cluster.connected


def test_gpus_are_used_if_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = questions(tmp_path, 80)
    cluster = install_fake_ray(monkeypatch, [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0}])
    go(task, executor="ray")
    assert (cluster.options["num_gpus"], len(cluster.actors)) == (1.0, 2)
    cluster = install_fake_ray(monkeypatch, [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0}])
    go(task, executor="ray:cpus_per_worker=2", device="cpu")
    assert (cluster.options["num_gpus"], len(cluster.actors)) == (0.0, 6)


def test_several_models_one_after_another(tmp_path: Path, cluster: Cluster) -> None:
    """Each model has all workers; an unreachable cluster ends the whole command."""
    task = questions(tmp_path, 30)
    where = {"tasks": [task], "output": str(tmp_path / "out"), "registry": registry(), "batch_size": 4, "report": False}
    here = vtbench.run_many(["batch_dependent", "other"], **where)
    there = vtbench.run_many(["batch_dependent", "other"], **where, executor="ray")
    assert there.exit_status == here.exit_status == 0
    for model in ("batch_dependent", "other"):
        assert content(there.results[model].path) == content(here.results[model].path)
    assert len(cluster.actors) == 6
    with pytest.raises(VtbenchError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        vtbench.run_many(["batch_dependent", "other"], **where, executor="ray:address=127.0.0.1:1")
