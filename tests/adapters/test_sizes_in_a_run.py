"""Ninety images of five sizes, a model whose number of visual tokens follows the size: all answered, RS given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
import torch

import vtbench

torch.set_num_threads(1)
N, BASIS = 90, 30
"""Images, and those of them that give the basis of redundancy and are not scored."""
SIZES = [(56, 56), (112, 56), (56, 112), (112, 112), (84, 140)]
GRIDS = {"qwen2_vl": [2, 2], "internvl": [4, 4], "llava_next": [4, 4], "llava_onevision": [4, 4], "idefics3": [2, 2]}
"""What the images share with the token sizes of `tiny_models`."""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("task")
    rows = []
    for i in range(N):
        (image,) = tiny_models.sample(i, "where?", size=SIZES[i % len(SIZES)]).images
        image.save(directory / f"{i}.png")
        rows.append({"image": f"{i}.png", "prompt": "where is it?", "target": "left", "choices": ["left", "right"]})
    (directory / "sizes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = directory / "sizes.yaml"
    path.write_text("task: sizes\ndata: {path: sizes.jsonl, choices: choices}\nmetrics: [accuracy]\n")
    return path


@pytest.mark.parametrize("name", GRIDS)
def test_every_image_is_answered_and_measured(name: str, task: Path, tmp_path: Path) -> None:
    checkpoint = tiny_models.save(name, tmp_path / "tiny")
    result = vtbench.run(
        model=tiny_models.ADAPTERS[name],
        model_args={"pretrained": str(checkpoint)},
        tasks=[str(task)],
        metrics=["accuracy", "rank_accuracy", "redundancy", "carriers"],
        device="cpu",
        dtype="float32",
        max_new_tokens=4,
        batch_size=12,
        output=str(tmp_path / "out"),
        report=False,
    )
    assert result.exit_status == 0
    scores = result.scores["sizes"]
    asked = {"acc", "rank_acc", "rank_acc_norm"}
    assert {key: score.n for key, score in scores.items()} == {key: N if key in asked else N - BASIS for key in scores}
    assert "pooled" in scores["rs"].flags
    assert scores["rs"].detail["grid"] == GRIDS[name]
    assert len(scores["rs"].detail["first_images_by_token_count"]) > 1
