"""Summaries of finished runs in trackers, read back with each tracker's package; a failing tracker costs no run."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracker_fakes import Ledger, finished, quiz, registry

import vtbench_trackers
from vtbench.cli import status
from vtbench.errors import PluginError, VtbenchError

SECRET = "sk-not-for-any-file-123456"


def text_of(directory: Path) -> bytes:
    """Every byte in every file."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def wandb_records(file: Path) -> Iterator[Any]:
    """Read the transaction log of a run: a LevelDB log after a header of seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, parts, block, header = file.read_bytes(), 7, b"", 32768, 7
    while place + header <= len(data):
        if (left := block - place % block) < header:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + header : place + header + size]
        place += header + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(parts)
            parts = b""


def test_a_summary_has_scores_with_intervals_speed_and_the_config(tmp_path: Path) -> None:
    ledger = Ledger()
    result = finished(tmp_path, ledger, track=["ledger"])
    (summary,) = ledger.summaries
    score = result.scores["quiz"]["acc"]
    assert score.value == 0.75
    assert score.interval is not None
    values = [summary.numbers[f"quiz/acc{end}"] for end in ("", "_low", "_high", "_stderr", "_n")]
    assert values == [0.75, *score.interval, score.stderr, 4]
    assert summary.numbers["quiz/samples_per_second"] > 0
    assert summary.numbers["quiz/failed"] == 0
    assert summary.config["config.model"] == "keyed"
    assert {path.name for path in summary.files} == {"report.html", "results.json", "run.json"}


def test_a_resumed_run_keeps_its_id(tmp_path: Path) -> None:
    ledger = Ledger()
    first = finished(tmp_path, ledger, track=["ledger"])
    finished(tmp_path, ledger, track=["ledger"], resume=True)
    other = finished(tmp_path, ledger, track=["ledger"])
    ids = [summary.id for summary in ledger.summaries]
    assert ids[0] == ids[1] != ids[2]
    assert other.path != first.path


def test_a_key_reaches_no_summary_and_no_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "key-of-the-environment")
    working, broken = Ledger(), Ledger(f"{SECRET} at https://me:pass@host and key-of-the-environment")
    finished(tmp_path, working, track=["ledger"], model_args={"api_key": SECRET})
    assert SECRET not in str(working.summaries)
    finished(tmp_path, broken, track=["ledger"], model_args={"api_key": SECRET})
    said = capsys.readouterr().err
    assert "ConnectionError: *** at https://***@host and ***" in said


def test_a_tracker_that_fails_costs_a_warning_and_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "run",
        "--model",
        "echo",
        "--model-args",
        "text=yes",
        "--tasks",
        str(quiz(tmp_path)),
        "--track",
        "ledger",
    ]
    assert status([*command, "--output", str(tmp_path / "out")], registry(Ledger("no route to host"))) == 0
    (run,) = (tmp_path / "out").iterdir()
    said = " ".join(capsys.readouterr().err.split())
    assert f"warning: tracker 'ledger' did not take the run, which is kept in {run}, and published" in said
    assert (run / "results.json").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_ends_the_command_before_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"vtbench_trackers.{name}_tracker", raising=False)
    with pytest.raises(PluginError, match=f"tracker '{name}': .*{name}.*pip install .*{name}"):
        finished(tmp_path, track=[name])
    assert not (tmp_path / "out").exists()


def test_an_unknown_tracker_is_named_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(VtbenchError, match=r"unknown tracker 'wandbb'\. Did you mean 'wandb'\?"):
        finished(tmp_path, track=["wandbb"])
    assert not (tmp_path / "out").exists()


def test_trackers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["ls", "trackers"], registry()) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == ["mlflow", "tensorboard", "wandb"]


def test_tensorboard_reads_one_event_file_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finished(tmp_path, track=["tensorboard"], model_args={"api_key": SECRET})
    result = finished(tmp_path, track=["tensorboard"], model_args={"api_key": SECRET}, resume=True)
    events = EventAccumulator(str(result.path / "tensorboard")).Reload()
    (point,) = events.Tensors("quiz/acc")
    assert point.tensor_proto.float_val[0] == 0.75
    described = events.SummaryMetadata("quiz/acc").summary_description
    assert described.startswith("95 %: 0.3")
    (text,) = events.Tensors("run")
    assert b"|config.model|keyed|" in text.tensor_proto.string_val[0]
    assert SECRET.encode() not in text_of(result.path)


def test_tensorboard_writes_to_a_directory_that_is_given(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    ledger = Ledger()
    finished(tmp_path, ledger, track=["ledger"])
    (summary,) = ledger.summaries
    where = vtbench_trackers.tensorboard(directory=str(tmp_path / "logs")).publish(summary)
    assert where == str(tmp_path / "logs" / summary.name)
    assert len(list(Path(where).iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("wandb", {"projekt": "x"}, "tracker 'wandb': projekt: unknown setting. Did you mean 'project'?"),
        ("wandb", {"project": ["x"]}, "tracker 'wandb': project: must be a valid string, not ['x']"),
        ("mlflow", {"experiment": ""}, "tracker 'mlflow': experiment: string should have at least 1 character, not ''"),
        (
            "tensorboard",
            {"directory": True},
            "tracker 'tensorboard': directory: must be a valid string, not True",
        ),
    ],
)
def test_an_invalid_setting_is_named(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(VtbenchError) as caught:
        vtbench_trackers.vtbench_trackers()[name](**settings)
    assert str(caught.value) == message


def test_mlflow_reads_one_run_after_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    given: dict[str, Any] = {"track": ["mlflow"], "model_args": {"api_key": SECRET}}
    monkeypatch.setattr(sys, "argv", ["vtbench", "run", "--model-args", f"api_key={SECRET}"])
    finished(tmp_path, **given)
    finished(tmp_path, **given, resume=True)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("vtbench")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.data.metrics["quiz/acc"] == 0.75
    assert found.data.metrics["quiz/acc_low"] < 0.75 < found.data.metrics["quiz/acc_high"]
    assert found.data.params["config.model"] == "keyed"
    assert found.info.status == "FINISHED"
    kept = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert kept == {"report.html", "results.json", "run.json"}
    assert SECRET.encode() not in text_of(tmp_path)


def test_mlflow_file_store_works_where_it_is_allowed_and_is_refused_before_the_run_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/store")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(VtbenchError, match=r"tracker 'mlflow': .*MLFLOW_ALLOW_FILE_STORE"):
        finished(tmp_path, track=["mlflow"])
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    finished(tmp_path, track=["mlflow"])
    (found,) = mlflow.search_runs(experiment_names=["vtbench"], output_format="list")
    assert found.data.metrics["quiz/acc"] == 0.75


def run_in_a_process(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run with wandb in a process of its own, as wandb caches its mode and login; the key is an argument."""
    homes = {key: str(tmp_path / "home") for key in ("HOME", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    code = "import sys, tracker_fakes, vtbench.cli as cli; sys.exit(cli.status(sys.argv[1:], tracker_fakes.registry()))"
    arguments = ["run", "--model", "keyed", "--model-args", f"api_key={SECRET}", "--tasks", str(quiz(tmp_path))]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments, "--track", "wandb", "--output", str(tmp_path / "out")],
        env={**kept, **homes, "PYTHONPATH": str(Path(__file__).parent), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_wandb_offline_has_numbers_config_and_files(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = run_in_a_process(tmp_path, WANDB_MODE="offline", WANDB_API_KEY=SECRET.ljust(40, "x"))
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "wandb").rglob("run-*.wandb")
    assert f"tracked  wandb: {file.parent}" in done.stderr
    records = list(wandb_records(file))
    numbers = {item.nested_key[0]: item.value_json for r in records for item in r.history.item if item.nested_key}
    assert numbers["quiz/acc"] == "0.75"
    assert float(numbers["quiz/acc_low"]) < 0.75 < float(numbers["quiz/acc_high"])
    config = {item.key: item.value_json for r in records for item in r.run.config.update}
    assert config["config.model"] == '"keyed"'
    (artifact,) = (r.artifact for r in records if r.HasField("artifact"))
    assert {entry.path for entry in artifact.manifest.contents} == {"report.html", "results.json", "run.json"}
    assert SECRET.encode() not in text_of(tmp_path)


def test_wandb_without_a_login_is_refused_before_the_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = run_in_a_process(tmp_path, WANDB_MODE="online")
    assert done.returncode == 2
    assert "tracker 'wandb': nobody is logged in; run `wandb login`" in done.stderr
    assert not (tmp_path / "out").exists()
