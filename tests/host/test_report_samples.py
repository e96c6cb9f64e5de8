"""The table of samples: results, probabilities, score columns, pictures that fit."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.report.pictures import SIDES, Album, cues, data_uri
from vtbench.report.samples import right, score_columns, spread, truth
from vtbench.report.scores import bar, beside, headlines, lettered
from vtbench.task.loading import load_task
from vtbench.types import Record

RELATIONAL = Path(__file__).parents[2] / "tasks/relational.yaml"


def record(index: int = 0, output: str | None = "yes", **fields: object) -> Record:
    facts = {"task": "t", "id": f"t/{index}", "index": index, "prompt": "?", "target": "yes", "output": output}
    return Record(**{**facts, **fields})  # type: ignore[arg-type]


def decoded(uri: str) -> tuple[Image.Image, int]:
    data = base64.b64decode(uri.partition(",")[2])
    return Image.open(io.BytesIO(data)), len(data)


def test_right_follows_the_first_verdict_else_the_text() -> None:
    assert right(record(scores={"a": {"note": 1}, "b": {"exact": 1}}, output="no"))
    assert not right(record(scores={"a": {"correct": 0}, "b": {"correct": 1}}))
    assert right(record(output=" yes "))
    assert not right(record(output=None))


def test_the_probability_of_the_truth_is_among_the_choices() -> None:
    ranked = {"choices": ("yes", "no"), "logprobs": (-1000.0, -1000.0 + math.log(3))}
    assert truth(record(**ranked)) == pytest.approx(0.25)
    assert truth(record(target="maybe", **ranked)) is None
    assert truth(record(choices=("yes",), logprobs=(-math.inf,))) is None
    assert truth(record()) is None


def test_score_columns_tell_samples_apart_and_come_once() -> None:
    records = [
        record(
            i,
            scores={
                "a": {"correct": i % 2, "n": 3, "text": "x"},
                "b": {"correct": i % 2},
                "c": {"x": i, "exact": i == 1},
            },
        )
        for i in range(4)
    ]
    assert score_columns(records) == [("c", "exact"), ("c", "x")]


def test_a_share_is_spread_evenly() -> None:
    records = [record(i) for i in range(7)]
    assert [r.index for r in spread(records, 3)] == [0, 2, 4]
    assert spread(records, 9) == records
    assert spread([], 1) == []


def test_drawn_pictures_keep_their_size_and_photographs_fit() -> None:
    task = load_task(RELATIONAL, [])
    sample = task.sample(0, 112)
    drawn, size = decoded(data_uri(sample.images[0]))
    assert (drawn.format, drawn.size) == ("PNG", (112, 112))
    assert size < 2_000
    apart = np.asarray(drawn.convert("RGB"), dtype=int) - np.asarray(sample.images[0].convert("RGB"), dtype=int)
    assert np.abs(apart).mean() < 3
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 200, 3), dtype=np.uint8))
    photograph, _ = decoded(data_uri(noise))
    assert (photograph.format, max(photograph.size)) == ("WEBP", SIDES[0])
    small, size = decoded(data_uri(noise, 3_000))
    assert max(small.size) < SIDES[0]
    assert size <= 3_000


def test_equal_pictures_are_kept_once_and_cues_are_of_the_scene() -> None:
    album = Album()
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    assert [album.place(sha, image) for sha, image in (("r", red), ("b", blue), ("r", red))] == [0, 1, 0]
    assert len(album.uris) == 2
    sample = load_task(RELATIONAL, []).sample(0)
    assert sample.scene is not None
    assert set(cues(sample)) == {
        (cue, getattr(t, cue)) for t in sample.scene.things for cue in ("colour", "shape", "texture")
    }


def score(**fields: object) -> dict[str, object]:
    return {"metric": "m", "value": 0.5, "interval": [0.4, 0.6], "chance": None, "percent": True} | fields


def test_bars_are_of_shares_only() -> None:
    assert bar(score(chance=0.25)) == {"low": 40, "high": 60, "value": 50, "chance": 25}
    assert bar(score(percent=False)) is None
    assert bar(score(value=None, interval=None)) is None
    assert bar(score(interval=[-0.1, 0.6])) is None


def test_the_summary_has_each_metric_and_each_value_once() -> None:
    scores = {
        "a": score(metric="m"),
        "a2": score(metric="m", value=0.7),
        "b": score(metric="n"),
        "c": score(metric="o", value=None),
        "d": score(metric="p", value=0.1),
    }
    assert headlines(scores, 5) == ["a", "d", "c"]
    assert headlines(scores, 1) == ["a"]


def test_scores_beside_say_which_runs_asked_otherwise() -> None:
    def document(value: float, n: int) -> dict[str, object]:
        task = {"configs": {}, "versions": 1, "n-samples": n}
        return {"scores": {"t": {"acc": score(value=value)}}} | {key: {"t": one} for key, one in task.items()}

    own, same, other = document(0.5, 9), document(0.6, 9), document(0.7, 8)
    found = beside("t", own, lettered([({}, same), ({}, other), ({}, {"scores": {}})]))
    assert found is not None
    assert [s and s["value"] for s in found["lines"]["acc"]] == [0.5, 0.6, 0.7, None]
    assert found["apart"] == ["C"]
    assert beside("t", own, lettered([({}, {"scores": {}})])) is None
