"""`vtbench diagnose` on stored runs of models whose failure is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from analysis_fakes import HELD_SCORE, LOST_SCORE, registry, run

from vtbench.cli import status
from vtbench_analysis import diagnose
from vtbench_analysis.diagnosis.report import diagnosis_section

torch.set_num_threads(1)


def causes(path: Path) -> list[str]:
    (task,) = diagnose(path).document["tasks"].values()
    return [finding["cause"] for finding in task["findings"]]


def test_a_model_that_is_right_has_nothing_wrong(tmp_path: Path) -> None:
    assert causes(run(tmp_path, limit=120)) == ["nothing_wrong"]


def test_answers_in_another_format_are_a_format_problem(tmp_path: Path) -> None:
    path = run(tmp_path, limit=120, model_args={"says": "neither {} nor anything else, yes no left right above below"})
    assert causes(path) == ["format"]
    unranked = run(tmp_path, limit=120, metrics=["accuracy"], model_args={"says": "?"})
    assert causes(unranked) == ["format", "cannot_tell"]


def test_wrong_answers_are_undetermined_without_probes(tmp_path: Path, capsys: Any) -> None:
    path = run(tmp_path, limit=200, model_args={"right": 0.4})
    assert status(["diagnose", str(path)], registry()) == 0
    out = capsys.readouterr().out
    assert "Cannot tell why answers on" in out
    assert "--metrics cues" in out
    assert status(["diagnose", str(path), "--json"], registry()) == 0
    (finding,) = json.loads(capsys.readouterr().out)["tasks"]["relational"]["findings"]
    assert finding["why"] == "not_probed"
    assert all(each["because"] for each in finding["tries"])


@pytest.mark.parametrize(("position", "cause"), [(LOST_SCORE, "collapsed"), (HELD_SCORE, "decoder")])
def test_probes_separate_collapse_from_the_decoder(tmp_path: Path, position: dict[str, Any], cause: str) -> None:
    path = run(tmp_path, limit=200, model_args={"right": 0.4})
    results = json.loads((path / "results.json").read_text())
    results["scores"]["relational"] |= {
        "cue_position": position,
        "cue_binding": HELD_SCORE,
        "cue_occlusion": HELD_SCORE,
    }
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


def test_the_document_keeps_its_keys(tmp_path: Path) -> None:
    evidence = diagnose(run(tmp_path, limit=60)).document["tasks"]["relational"]["evidence"]
    assert list(evidence) == ["task", "whole", "kinds", "cues", "linear_cues", "numbers", "flags"]
    assert list(evidence["whole"]) == ["kind", "n", "chance", "written", "knows", "form", "ranked", "needs"]
    assert evidence["whole"]["written"].keys() == {"value", "low", "high"}
