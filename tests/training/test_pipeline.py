"""The pretraining command, whole and small: it trains, resumes to the same weights, and its model answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import vtbench
from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench_training.pretrain.pipeline import pretrain
from vtbench_training.pretrain.recipe import Recipe, Stage
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.training_loop import Schedule, train

SMALL = Sizes(
    vision_hidden=16, vision_layers=1, vision_heads=2, hidden=16, layers=2, heads=2, kv_heads=2, intermediate=16
)
FEW = Schedule(steps=3, rate=1e-3, batch_size=2, warmup=1, save_every=2)
MIX = {"coarse": 1, "relational": 1}
STAGES = tuple(Stage(kind, FEW, MIX) for kind in ("tower", "decoder", "tower", "decoder"))
NAMES = ["1-tower", "2-decoder", "3-tower", "4-decoder"]
RECIPE = Recipe(sizes=SMALL, stages=STAGES, questions=3)


def test_a_trained_model_loads_and_answers(tmp_path: Path) -> None:
    lines: list[dict] = []
    model = pretrain(RECIPE, tmp_path, torch.device("cpu"), lines.append)
    assert [line["stage"] for line in lines] == NAMES
    result = vtbench.run(
        model="llava", model_args={"pretrained": str(model)}, tasks=["coarse"], limit=4, output=str(tmp_path / "runs")
    )
    assert result.exit_status == 0
    assert result.document["n-samples"]["coarse"]["effective"] == 4


@pytest.mark.parametrize("stop", [("2-decoder", 3), ("3-tower", 3)])
def test_a_killed_training_ends_with_the_same_weights(stop: tuple[str, int], tmp_path: Path) -> None:
    """Stopped after any step, and started again, it is as if it had never been stopped."""

    class Stop(Exception):
        pass

    def weights(directory: Path, stop_at: tuple[str, int] | None) -> dict[str, torch.Tensor]:
        def show(line: dict) -> None:
            if stop_at == (line["stage"], line["step"]):
                raise Stop

        often = tuple(replace(stage, schedule=replace(FEW, save_every=1)) for stage in STAGES)
        recipe = replace(RECIPE, stages=often)
        try:
            pretrain(recipe, directory, torch.device("cpu"), show)
        except Stop:
            return weights(directory, None)
        return torch.load(directory / "4-decoder.pt", weights_only=True)["modules"]

    unbroken = weights(tmp_path / "a", None)
    broken = weights(tmp_path / "b", stop)
    assert unbroken.keys() == broken.keys()
    assert all(torch.equal(unbroken[key], broken[key]) for key in unbroken)


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(VtbenchError, match="another recipe"):
        pretrain(RECIPE, tmp_path, torch.device("cpu"), lambda line: None)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, 2.0)  # a loss above 0, as real ones are

    def step(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        return layer(batch["x"]).mean() * batch["scale"], {}

    def batches(first: int):
        for number in range(first, 9):
            yield {"x": torch.ones(1, 1), "scale": torch.tensor(float("nan") if number == 5 else 1.0)}

    schedule = Schedule(steps=9, rate=0.1, batch_size=1, save_every=2)
    with pytest.raises(VtbenchError, match="diverged at step 5"):
        train("s", layer, step, batches, schedule, tmp_path, torch.device("cpu"), lambda line: None)
    kept = torch.load(tmp_path / "s.pt", weights_only=True)
    assert kept["step"] == 4
    assert all(torch.isfinite(value).all() for value in kept["modules"].values())


def test_the_rate_warms_up_and_falls() -> None:
    schedule = Schedule(steps=100, rate=1.0, batch_size=1, warmup=10)
    factors = [schedule.factor(step) for step in range(100)]
    assert factors[9] == 1.0
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.03


@pytest.mark.parametrize("arguments", [["--model", "nope"], ["--scale", "0"]])
def test_bad_arguments_are_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["pretrain", "--output", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vtbench: ")
    assert error.count("\n") == 1


def test_the_log_is_one_json_line_a_step_group(tmp_path: Path) -> None:
    pretrain(RECIPE, tmp_path, torch.device("cpu"), lambda line: None)
    for stage in NAMES:
        lines = [json.loads(line) for line in (tmp_path / f"{stage}.jsonl").read_text().splitlines()]
        assert lines[-1]["step"] == 3
        assert lines[-1]["loss"] > 0
