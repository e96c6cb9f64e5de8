"""What is refused before the first model is trained: a base that is missing or broken, and scores of two protocols."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_models import fake_results

from vtbench.errors import VtbenchError
from vtbench_study import measured_models, study
from vtbench_study.plan import Cell, Plan
from vtbench_study.study import run_study, train_study, write_study
from vtbench_study.summary import summarise


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


def measured_by(protocols: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Make models look finished, each with RS of its protocol."""
    plan = Plan(seeds=(0,), shipped=(), snapshots=())

    def read(directory: Path, cell: Cell, tests: tuple[str, ...]) -> dict | None:
        if cell.name not in protocols:
            return None
        found = fake_results(cell, plan, rs=0.7)
        of_model = {"protocol": protocols[cell.name]}
        own = {family: part | of_model for family, part in found["redundancy_own"].items()}
        return found | {"redundancy": found["redundancy"] | of_model, "redundancy_own": own}

    monkeypatch.setattr(measured_models, "read_model_results", read)
    monkeypatch.setattr(
        measured_models,
        "checkpoint_rows",
        lambda cells, plan, directory: [
            {"checkpoint": name, "protocol": protocol}
            for name, protocol in protocols.items()
            if name in {cell.name for cell in cells}
        ],
    )
    monkeypatch.setattr(study, "summarise", lambda plan, models, facts, rows: summarise(plan, models, facts))
    return plan


def test_a_study_of_rs_v1_is_not_finished_with_another_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = measured_by({"base": "rs-v1", "coarse-0": "rs-v1"}, monkeypatch)
    monkeypatch.setattr(study.Local, "run", lambda self, jobs: pytest.fail("a job was started"))
    with pytest.raises(VtbenchError, match="rs-v1 and rs-v2, which do not compare"):
        run_study(plan, tmp_path)


def test_a_finished_study_keeps_its_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [cell.name for cell in Plan(seeds=(0,)).cells()]
    plan = measured_by(dict.fromkeys(names, "rs-v1"), monkeypatch)
    assert run_study(plan, tmp_path)["table"]
    plan = measured_by(dict.fromkeys(names, "rs-v1") | {"base": "rs-v2"}, monkeypatch)
    with pytest.raises(VtbenchError, match="rs-v2 and rs-v1"):
        write_study(plan, tmp_path / "other", {})


@pytest.mark.parametrize("begin", [run_study, train_study])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shipped": ("llava", "fuyo")}, "unknown model 'fuyo'.*fuyu"),
        ({"shipped": ("llava", "hf")}, "--shipped hf: no model of this adapter ships; leave it out"),
        ({"items": 2001}, "--items 2001 is more than the 2000 items of attribute; ask for fewer"),
        ({"dropped": 5000}, "--dropped 5000 is more than the 2000 items of attribute"),
        ({"images": 2001}, "--images 2001 is more than the 2000 items of probe"),
        ({"probed": 2001}, "--probed 2001 is more than the 2000 items of probe"),
        ({"families": ("coarse", "atribute"), "mixes": {}, "penalties": {}, "full_rate": ()}, "family 'atribute'"),
        ({"mixes": {"both": {"coarse": 1.0, "relatonal": 1.0}}}, "unknown family 'relatonal'.*relational"),
    ],
)
def test_what_can_be_refused_is_refused_before_a_model_is_trained(
    tmp_path: Path, begin: Callable[..., object], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(VtbenchError, match=message):
        begin(Plan(**settings), tmp_path / "study", device="cpu")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalties": {"relatonal": "cosine:0.1"}}, "penalty on 'relatonal', which is not trained.*relational"),
        ({"penalties": {"relational": "cosin:0.1"}}, "cosin"),
        ({"full_rate": ("nothing",)}, "full_rate of 'nothing', which is not trained"),
        ({"shipped": ("fuyu", "fuyu")}, "shipped must be different models"),
        ({"snapshots": (1.5,)}, "snapshots: .*1.5"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_none(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(VtbenchError, match=message):
        Plan(**settings)
