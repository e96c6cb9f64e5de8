"""A base that is missing or broken is refused before the first model is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtbench.errors import VtbenchError
from vtbench_study.plan import Plan
from vtbench_study.study import run_study


@pytest.mark.parametrize("base", ["no/such/directory", "./nowhere", "empty", "listed"])
def test_nothing_is_started(tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed/config.json").write_text("[]")
    with pytest.raises(VtbenchError, match=base.removeprefix("./")):
        run_study(Plan(base=base), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    for device in ("tpu", "meta", "cuda:99", "", "\udcff"):
        with pytest.raises(VtbenchError, match="device="):
            run_study(Plan(), tmp_path / "study", device=device)
    assert not (tmp_path / "study").exists()
