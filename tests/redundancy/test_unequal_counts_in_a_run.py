"""A run over images of several sizes with a model of native resolution: every answer counts, and all are measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from host_fakes import FakeModel
from mixed_fakes import mixed_sample, patches

import vtbench
import vtbench_redundancy
from vtbench.errors import SampleError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.scoring import plugin as scoring
from vtbench.types import Sample, VisualTokens
from vtbench_redundancy.features.common_grid import Grid

torch.set_num_threads(1)
N, BASIS = 90, 30
"""Images, and those of them that give the basis and are not scored."""
SIZES = [(16, 16), (32, 16), (16, 32), (32, 32), (48, 32)]
METRICS = ["accuracy", "redundancy", "carriers", "token_use", "geometry"]


class Native(FakeModel):
    """It has a token for every 4 x 4 pixels, and takes images of one number of tokens together."""

    layers = ("connector",)
    image_size = None

    def __init__(self, ragged: bool = False, placed: bool = True) -> None:
        super().__init__()
        self.ragged, self.placed, self.looked = ragged, placed, 0

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        self.looked += len(samples)
        boxes = [Grid(s.images[0].height // 4, s.images[0].width // 4).boxes() for s in samples]
        tokens = [patches(s.index, b).astype(np.float32) for s, b in zip(samples, boxes, strict=True)]
        given = boxes if self.placed else None
        if self.ragged:
            return [VisualTokens("connector", tokens, given)]
        if len({len(each) for each in tokens}) > 1:
            raise SampleError("unequal numbers of visual tokens")
        return [VisualTokens("connector", np.stack(tokens), given)]


def mixed_task(directory: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    rows = []
    for i in range(N):
        (image,) = mixed_sample(i, sizes[i % len(sizes)]).images
        image.save(directory / f"{i}.png")
        rows.append({"image": f"{i}.png", "prompt": "What?", "target": "yes", "choices": ["yes", "no"]})
    (directory / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = directory / "mixed.yaml"
    path.write_text("task: mixed\ndata: {path: mixed.jsonl, choices: choices}\nmetrics: [accuracy]\n")
    return path


def go(model: Native, task: Path, **fields: Any) -> RunResult:
    class Plugin:
        @hookimpl
        def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
            return {"native": lambda: model}

    plugins = {"native": Plugin(), "redundancy": vtbench_redundancy, "scoring": scoring}
    given = {"metrics": METRICS, "output": str(task.parent / "out"), "report": False, "batch_size": 8} | fields
    return vtbench.run("native", [task], registry=Registry(plugins), **given)


@pytest.mark.parametrize("ragged", [False, True], ids=["by size", "ragged"])
def test_all_images_of_five_sizes_are_answered_and_measured(ragged: bool, tmp_path: Path) -> None:
    model = Native(ragged)
    result = go(model, mixed_task(tmp_path, SIZES))
    assert result.exit_status == 0
    scores = result.scores["mixed"]
    held_out = {"rs", "n_eff_16", "discarded", "carriers", "uncarried", "unique", "dead", "sink"}
    counts = {name: N - BASIS if name in held_out else N for name in scores}
    assert {name: score.n for name, score in scores.items()} == counts
    assert scores["rs"].detail["grid"] == [4, 4]
    assert scores["rs"].interval[0] < 0.05
    assert scores["carriers"].value < 4
    assert {"pooled"} <= set(scores["rs"].flags) & set(scores["carriers"].flags) & set(scores["sink"].flags)
    assert scores["effective_rank_rel"].detail["images_by_token_count"] == {"16": 18, "32": 36, "64": 18, "96": 18}
    assert "unobserved" not in result.document


def test_a_resumed_run_gives_the_same_scores(tmp_path: Path) -> None:
    task = mixed_task(tmp_path, SIZES)
    first = go(Native(), task)
    before = (first.path / "results.json").read_bytes()
    samples = first.path / "samples.jsonl"
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:21]))
    assert go(Native(), task, resume=True).path == first.path
    assert (first.path / "results.json").read_bytes() == before


def test_images_of_one_size_are_looked_at_as_often_as_before(tmp_path: Path) -> None:
    model = Native()
    result = go(model, mixed_task(tmp_path, SIZES[:1]))
    assert model.looked == BASIS + 1 + N, "once to fit the basis, the first for geometry, once to observe"
    assert "pooled" not in result.scores["mixed"]["rs"].flags


def test_without_boxes_the_reason_stands_in_the_details(tmp_path: Path) -> None:
    result = go(Native(placed=False), mixed_task(tmp_path, SIZES))
    assert result.exit_status == 0
    assert result.scores["mixed"]["acc"].n == N
    rs = result.scores["mixed"]["rs"]
    assert rs.n == 24
    assert {"one_token_count", "unobserved"} <= set(rs.flags)
    assert rs.detail["no_grid"] == f"the tokens of {BASIS} of the first {BASIS} images have no boxes that fill a grid"
