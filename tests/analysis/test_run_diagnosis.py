"""`vtbench diagnose` on stored runs of models whose trouble is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from analysis_fakes import registry, run

from vtbench.cli import status
from vtbench_analysis import diagnose
from vtbench_analysis.diagnosis.evidence import cue_probe
from vtbench_analysis.diagnosis.report import diagnosis_section

torch.set_num_threads(1)


def causes(path: Path) -> list[str]:
    (task,) = diagnose(path).document["tasks"].values()
    return [finding["cause"] for finding in task["findings"]]


def test_a_model_that_is_right_is_fine(tmp_path: Path) -> None:
    assert causes(run(tmp_path, limit=120)) == ["nothing_wrong"]


def test_a_model_that_says_it_in_another_form_has_a_form_problem(tmp_path: Path) -> None:
    path = run(tmp_path, limit=120, model_args={"says": "neither {} nor anything else, yes no left right above below"})
    assert causes(path) == ["format"]
    unranked = run(tmp_path, limit=120, metrics=["accuracy"], model_args={"says": "?"})
    assert causes(unranked) == ["format", "cannot_tell"]


def test_a_model_that_is_wrong_cannot_be_told_without_probes(tmp_path: Path, capsys: Any) -> None:
    path = run(tmp_path, limit=200, model_args={"right": 0.4})
    assert status(["diagnose", str(path)], registry()) == 0
    out = capsys.readouterr().out
    assert "Cannot tell why answers on" in out
    assert "--metrics cues" in out
    assert status(["diagnose", str(path), "--json"], registry()) == 0
    (finding,) = json.loads(capsys.readouterr().out)["tasks"]["relational"]["findings"]
    assert finding["why"] == "not_probed"
    assert all(each["because"] for each in finding["tries"])


def reading(stage: str, accuracy: float, control: str = "", probe: str = "attention") -> dict[str, Any]:
    reach = {"low": accuracy - 0.02, "high": accuracy + 0.02}
    return {"stage": stage, "probe": probe, "control": control, "accuracy": accuracy, **reach}


def score(value: float | None, *readings: dict[str, Any], flags: tuple[str, ...] = ()) -> dict[str, Any]:
    interval = None if value is None else [value - 0.02, value + 0.02]
    detail = {"stage": "connector", "probe": "attention", "reference": 1.0, "readings": list(readings)}
    return {
        "value": value,
        "interval": interval,
        "chance": 0.25,
        "flags": list(flags),
        "detail": detail,
        "metric": "cues",
    }


LOST = score(0.3, reading("pixels", 0.7), reading("encoder", 0.9), reading("connector", 0.3))
HELD = score(0.98, reading("pixels", 0.7), reading("encoder", 0.98), reading("connector", 0.98))


@pytest.mark.parametrize(("position", "cause"), [(LOST, "collapsed"), (HELD, "decoder")])
def test_probes_tell_collapse_from_the_decoder(tmp_path: Path, position: dict[str, Any], cause: str) -> None:
    path = run(tmp_path, limit=200, model_args={"right": 0.4})
    results = json.loads((path / "results.json").read_text())
    results["scores"]["relational"] |= {"cue_position": position, "cue_binding": HELD, "cue_occlusion": HELD}
    (path / "results.json").write_text(json.dumps(results))
    found = diagnose(path)
    finding = found.document["tasks"]["relational"]["findings"][0]
    assert finding["cause"] == cause
    if cause == "collapsed":
        assert finding["cues"] == ["position"]
        assert "lost at the connector" in finding["text"]
    assert finding["text"] in diagnosis_section(found)


def test_the_diagnosis_is_a_part_of_the_report(tmp_path: Path) -> None:
    path = run(tmp_path, limit=60, report=True)
    text = (path / "report.html").read_text()
    assert '<h2 id="diagnosis-1">Diagnosis of relational</h2>' in text
    assert diagnosis_section(diagnose(path)) in text
    document = json.loads((path / "results.json").read_text())
    scores = document["scores"]["relational"]
    scores["cue_count"] = scores["acc"] | {"detail": {"chance": 0.5}}
    (path / "results.json").write_text(json.dumps(document))
    assert status(["report", str(path)], registry()) == 0
    assert "The part “diagnosis” could not be made: KeyError" in (path / "report.html").read_text()


def test_what_a_cue_score_says() -> None:
    lost = cue_probe("cue_position", LOST)
    assert lost
    assert (lost.name, lost.lost_at) == ("position", "connector")
    assert lost.retention.value == pytest.approx(0.05 / 0.75)
    assert lost.best_before
    assert lost.best_before.value == pytest.approx(0.65 / 0.75)
    assert cue_probe("cue_count", score(None)) is None
    grey = reading("connector", 0.5, control="grey")
    given = cue_probe("cue_size", score(0.75, reading("connector", 0.75), grey, flags=("told_gives_away",)))
    assert given
    assert (given.chance, given.retention.value) == (0.5, pytest.approx(0.5))
