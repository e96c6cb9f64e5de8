"""What `vtbench train` shows: its phases, and steps with loss, samples and time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from vtbench_training.finetune import progress
from vtbench_training.finetune.progress import ProgressBar, ProgressLines

LINE = {"step": 120, "steps": 400, "loss": 1.25, "right": 0.5, "images_per_s": 12.34, "seconds_per_step": 3.0}


def test_on_a_terminal_each_phase_and_the_steps_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "open_console", lambda stderr: terminal)
    with ProgressBar(400) as bar:
        for what, about in (("loading", "llava base"), ("checking", "the first items")):
            bar.phase(what, about)
            bar._bar.refresh()
        bar(LINE)
        bar._bar.refresh()
        bar.phase("writing", "the model to out")
    shown = screen.getvalue()
    for part in (
        "loading  llava base",
        "checking the first items",
        "120/400",
        "loss 1.250, right 50.0 %, 12.3 samples/s",
    ):
        assert part in shown
    assert "…" not in shown
    assert shown.index("120/400") < shown.index("writing  the model to out")


def test_in_a_pipe_an_error_before_the_first_step_is_the_only_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ProgressLines()
    lines.phase("loading", "llava base")
    assert capsys.readouterr().err == ""
    lines(LINE)
    lines.phase("writing", "the model to out")
    assert capsys.readouterr().err.splitlines() == [
        "step 120/400: loss 1.250, right 50.0 %, 12.3 samples/s, 14.0 min left",
        "writing  the model to out",
    ]
