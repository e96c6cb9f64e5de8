"""`vtbench study` used wrongly, with models that diverge, on a full disk: one line says so, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import COMMAND, document


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "coarse,relationel"], "unknown family 'relationel'. Did you mean 'relational'"),
        (["--mix", "empty:coarse=0,attribute=0"], "the weights sum to nothing"),
        (["--mix", "coarse=1"], "write NAME:..."),
        (["--seeds", "0,x"], "--seeds: must be a valid integer"),
        (["--penalty", "coarse:cosinus:1"], "must be 'cosine', 'logdet' or 'decorrelation', not 'cosinus'"),
        (["--executor", "local:workers=0"], "workers must be at least 1"),
    ],
)
def test_invalid_usage_is_rejected_before_anything_is_trained(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "vtbench", "study", "--quick", *arguments, "--output", str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "study").exists()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "blip-2"}', encoding="utf-8")
    command = [*COMMAND, "--from", str(tmp_path / "other"), "--output", str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'blip-2' checkpoint" in done.stderr


def test_a_diverging_model_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    command = [*COMMAND, "--rate", "1e6", "--seeds", "0", "--output", str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "2 of 4 models failed; the first is" in done.stderr
    assert "the loss diverged at step" in done.stderr
    assert document(tmp_path / "study")["missing"] == ["coarse-0", "attribute-0"]


def test_a_full_disk_is_named_and_leaves_written_files_intact(tmp_path: Path) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        command = [*COMMAND, "--seeds", "0", "--output", str(disk / "study")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "the disk is full" in done.stderr
        for path in (disk / "study").rglob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
    finally:
        subprocess.run(["umount", disk], check=False)
