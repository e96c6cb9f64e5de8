"""The scores in words, what is available beside what is used, and scores that data without scenes cannot have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from host_fakes import FakeModel
from PIL import Image

import vtbench
import vtbench_redundancy
from vtbench.console.tables import show_scores
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.scenes import plugin as scenes
from vtbench.scoring import plugin as scoring
from vtbench.types import Sample, Score, VisualTokens
from vtbench_redundancy.meanings import available_and_used, meanings, meanings_section

torch.set_num_threads(1)


def cues(value: float | None = 7.0, **detail: object) -> dict:
    curve = [{"tokens": 4, "value": 0.6, "low": 0.5, "high": 0.7}, {"tokens": 8, "value": 1.0, "low": 1.0, "high": 1.0}]
    known = {"available": {"share": 0.05, "of": 140.0, "interval": [0.04, 0.06]}, "curve": curve}
    return asdict(Score(value, detail=known | detail, percent=False))


USED = {"value": 0.9, "interval": [0.8, 0.95], "accuracy": 0.925, "chance": 0.25, "n": 100}


def test_each_score_has_a_sentence() -> None:
    scores = {name: asdict(Score(value, percent=False)) for name, value in (("rs", 0.75), ("discarded", 0.5))}
    told = dict(meanings(scores | {"cue_information": cues(used=USED)}))
    assert told["rs"] == (
        "Summed token by token, 75.0 % of the information about the pixels is lost to repetition when the tokens are "
        "read together."
    )
    assert told["discarded"].startswith("A linear reader does not find 50.0 %")
    assert "7.00 nats" in told["cue_information"]
    assert "5.0 % of all" in told["cue_information"]
    assert told["cue_information"].endswith("half of the tokens keep 60.0 % of it.")
    assert "90.0 % of the way from a guess (25.0 % right)" in told["used"]


def test_synergy_and_another_target_are_said() -> None:
    about = asdict(Score(-0.2, detail={"protocol": "rs-v2 target=cues"}, percent=False))
    assert meanings({"rs": about}) == [
        ("rs", "Read together, the tokens say more about cues than the sum of what each says alone.")
    ]


def test_scores_without_a_value_have_no_sentence() -> None:
    assert meanings({"rs": asdict(Score(None)), "cue_information": cues(None)}) == []


def test_little_information_is_said_to_be_none() -> None:
    ((_, sentence),) = meanings({"cue_information": asdict(Score(0.01, percent=False))})
    assert "possibly nothing" in sentence


@pytest.mark.parametrize(
    ("scores", "lines"), [({"cue_information": cues(used=USED)}, 1), ({"cue_information": cues()}, 0)]
)
def test_available_beside_used(scores: dict, lines: int) -> None:
    found = list(available_and_used({"probe": scores, "other": {}}))
    assert len(found) == lines
    assert all("probe: available in the tokens 7.00 nats" in line and "90.0 % of the way" in line for line in found)


def test_a_run_without_redundancy_has_no_section() -> None:
    assert meanings_section({"t": {"acc": asdict(Score(0.5))}}) is None


def test_names_of_files_are_escaped() -> None:
    section = meanings_section({"<i>": {"rs": asdict(Score(0.5, detail={"protocol": "rs-v2 target=<b>.npy"}))}})
    assert "&lt;b&gt;.npy" in section
    assert "<i>" not in section


class Cells(FakeModel):
    """It has a token for each cell of a grid of 4 x 4: its mean colour."""

    layers = ("connector",)
    image_size = 32

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        small = [np.asarray(s.images[0].resize((4, 4), Image.Resampling.BOX), np.float32) for s in samples]
        return [VisualTokens("connector", np.stack(small).reshape(len(samples), 16, 3))]


def run(task: str | Path, output: Path) -> RunResult:
    class Plugin:
        @hookimpl
        def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
            return {"cells": Cells}

    plugins = {"cells": Plugin(), "redundancy": vtbench_redundancy, "scoring": scoring, "scenes": scenes}
    settings = {"metrics": ["accuracy", "redundancy"], "output": str(output), "limit": 50, "batch_size": 20}
    return vtbench.run("cells", [task], registry=Registry(plugins), **settings)


def test_a_run_of_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run("probe", tmp_path)
    score = result.scores["probe"]["cue_information"]
    assert score.n == 50
    assert score.detail["used"]["n"] <= 50
    page = (result.path / "report.html").read_text()
    assert "What the visual tokens of probe say" in page
    show_scores(result, stderr=False)
    shown = capsys.readouterr().out
    assert "cue_information" in shown
    assert "left out" not in shown


def test_a_run_without_scenes_says_why_it_has_no_cue_information(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for i in range(75):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / f"{i}.png")
        rows.append({"image": f"{i}.png", "prompt": "What?", "target": "yes", "choices": ["yes", "no"]})
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.yaml").write_text("task: own\ndata: {path: own.jsonl, choices: choices}\nmetrics: [accuracy]\n")
    result = run(tmp_path / "own.yaml", tmp_path / "out")
    assert "cue_information" not in result.scores["own"]
    assert "Left out cue_information: the images have no scenes" in (result.path / "report.html").read_text()
    show_scores(result, stderr=False)
    shown = capsys.readouterr().out
    assert "left out cue_information: the images have no scenes" in shown
    assert shown.count("cue_information") == 1  # no row of dashes
