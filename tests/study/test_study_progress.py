"""What a study shows while it runs: the models that are done, and what each of the others does."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from vtbench.executor import JobResult
from vtbench_study import study_progress
from vtbench_study.study_progress import PhaseListener, ProgressScreen, running_phases, say_phase


@pytest.fixture
def logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Logs of four models: one of an earlier start, one that is over, one that says nothing, and one that trains."""
    for name in ("coarse-0", "coarse-1", "coarse-2", "coarse-3"):
        (tmp_path / f"{name}.log").write_text("a warning of a library\n" * 500)
    os.utime(tmp_path / "coarse-0.log", (10, 10))
    say_phase("training 20/400, loss 1.250")
    with (tmp_path / "coarse-3.log").open("a") as log:
        log.write("phase    training: loading llava\n" + capsys.readouterr().out + "another warning\n")
    return tmp_path


def test_the_last_phase_of_each_running_model_is_read_from_its_log(logs: Path) -> None:
    found = dict(running_phases(logs, since=1000, over={"coarse-1"}))
    assert found == {"coarse-2": "starting", "coarse-3": "training 20/400, loss 1.250"}


def test_a_measurement_writes_its_phases_and_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([10.0, 10.0, 11.0, 30.0, 30.0])
    monkeypatch.setattr(study_progress.time, "monotonic", lambda: next(clock))
    listener = PhaseListener("answers")
    listener.phase("loading", "llava")
    listener.begin(Path("run"), {"coarse": (2000, 40)}, {})
    for _ in range(3):
        listener.advance("coarse", 100, 0)
    assert capsys.readouterr().out.splitlines() == [
        "phase    answers: loading llava",
        "phase    answers: answering coarse 140/2,000",
        "phase    answers: answering coarse 340/2,000",
    ]


def test_on_a_terminal_the_running_models_stand_below_those_that_are_done(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(study_progress, "open_console", lambda stderr: terminal)
    with ProgressScreen(logs) as progress:
        progress._begun = 1000.0
        progress(JobResult("coarse-2", 60.0, None), 1, 4)
        progress._live.refresh()
    shown = screen.getvalue()
    assert "1/4  coarse-2: done in 1.0 min" in shown
    assert "coarse-3              training 20/400, loss 1.250" in shown.partition("done in")[2]
    assert "coarse-2              starting" not in shown.partition("done in")[2]
