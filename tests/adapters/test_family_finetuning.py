"""Fine-tuning of other families than LLaVA, whole and small: resumed, frozen, written as the hub has it, and usable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

import vtbench
from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench_training.finetune.part_parameters import is_in_modules
from vtbench_training.finetune.trainer import FineTune, finetune

STEPS = 4
WAYS = {"qwen2_vl": "qwen2_vl", "fuyu": "fuyu", "flamingo": "idefics"}
"""One family with positions of its own, one without a tower, one with cross-attention: and their tiny models."""


class Stop(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module", params=WAYS)
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FineTune:
    base = tiny_models.save(WAYS[request.param], tmp_path_factory.mktemp("base") / "tiny")
    return FineTune(
        mix={"relational": 1}, model=request.param, base=str(base), steps=STEPS, batch_size=2, warmup=1,
        precision="float32", freeze=("text",),
    )  # fmt: skip


def train(config: FineTune, directory: Path, stop_at: int | None = None) -> Path:
    def show(line: dict[str, Any]) -> None:
        if line["step"] == stop_at:
            raise Stop

    return finetune(config, directory, "cpu", show, save_every=2, log_every=1)


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def test_killed_and_resumed_it_ends_as_unbroken_and_its_checkpoint_is_of_use(config: FineTune, tmp_path: Path) -> None:
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Stop):
        train(config, tmp_path / "broken", stop_at=3)
    broken = train(config, tmp_path / "broken")
    logs = [(path.parent / "finetune.jsonl").read_text().splitlines() for path in (whole, broken)]
    losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    assert losses[0] == losses[1]
    assert len(losses[0]) == STEPS
    before, after = weights(Path(config.base)), weights(whole)
    assert before.keys() == after.keys() == weights(broken).keys()
    assert all(torch.equal(after[name], value) for name, value in weights(broken).items())

    model, report = AutoModelForImageTextToText.from_pretrained(whole, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    start = AutoModelForImageTextToText.from_pretrained(config.base).state_dict()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, start[name])}
    text = {"qwen2_vl": ["model.language_model"], "fuyu": ["model.language_model"], "flamingo": ["model.layers"]}
    assert moved
    assert not any(is_in_modules(name, [*text[config.model], "lm_head"]) for name in moved)

    result = vtbench.run(
        model=config.model, model_args={"pretrained": str(whole)}, tasks=["relational"], metrics=["accuracy"], limit=2,
        output=str(tmp_path / "runs"), device="cpu",
    )  # fmt: skip
    assert result.exit_status == 0
    with pytest.raises(VtbenchError, match="another config was trained here"):
        train(replace(config, seed=5), tmp_path / "whole")


def test_the_command_says_which_model_runs_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, output = tiny_models.save("paligemma", tmp_path / "tiny"), tmp_path / "out"
    command = ["train", "--model", "paligemma", "--task", "coarse", "--base", str(base), "--steps", "1"]
    command += ["--batch-size", "2", "--redundancy-penalty", "cosine:0.1", "--check-images", "0", "--lora", "2"]
    assert status([*command, "--output", str(output)]) == 0
    said = capsys.readouterr()
    assert f"vtbench run --model paligemma --model-args pretrained={output / 'model'}" in said.out
    names = weights(output / "model")
    assert any(name.startswith("vision_tower.vision_model.") for name in names)
    assert not any("lora" in name for name in names)


def test_what_a_family_cannot_do_is_one_line_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny_models.save("fuyu", tmp_path / "tiny")
    output = tmp_path / "x"
    capsys.readouterr()
    for arguments, says in (
        (["--model", "fuyu", "--freeze", "vision"], "fuyu has no part 'vision'; its parts are connector and text"),
        (["--model", "qwen2_vl"], "is a 'fuyu' checkpoint, and --model qwen2_vl takes qwen2_vl ones; --model fuyu"),
    ):
        command = ["train", "--task", "coarse", "--base", str(base), "--output", str(output), *arguments]
        assert status(command) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
        assert not output.exists()
