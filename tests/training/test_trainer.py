"""Fine-tuning, whole and small: it resumes to the same weights, refuses, survives, and its model loads everywhere."""

from __future__ import annotations

import json
import math
import resource
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import own_process
import pytest
import torch
from safetensors.torch import load_file
from tiny_base import write_tiny_base
from transformers import AutoProcessor, LlavaForConditionalGeneration

import vtbench
from vtbench.errors import ResultsError, VtbenchError
from vtbench_training.finetune.trainer import FineTune, finetune

STEPS = 6


class Stop(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_base(tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="module")
def config(base: str) -> FineTune:
    return FineTune(mix={"relational": 1}, base=base, steps=STEPS, batch_size=4, warmup=2, precision="float32")


@pytest.fixture(scope="module")
def unbroken(config: FineTune, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing stopped."""
    directory = tmp_path_factory.mktemp("unbroken")
    train(config, directory)
    return directory


def train(config: FineTune, directory: Path, stop_at: int | None = None, **more: Any) -> Path:
    def show(line: dict[str, Any]) -> None:
        if line["step"] == stop_at:
            raise Stop

    return finetune(config, directory, "cpu", show, **{"save_every": 2, "log_every": 1, **more})


def weights(directory: Path, model: str = "model") -> dict[str, torch.Tensor]:
    return load_file(directory / model / "model.safetensors")


def losses(directory: Path) -> list[tuple[int, float]]:
    lines = (directory / "finetune.jsonl").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def same(a: Path, b: Path, model: str = "model") -> bool:
    one, other = weights(a, model), weights(b, model)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_the_log_has_a_line_a_step_and_the_model_learned(unbroken: Path, base: str) -> None:
    assert [step for step, _ in losses(unbroken)] == [*range(1, STEPS + 1)]
    before = load_file(Path(base) / "model.safetensors")
    assert any(not torch.equal(before[key], value) for key, value in weights(unbroken).items())


def test_models_are_kept_on_the_way_also_where_the_training_was_killed(
    config: FineTune, unbroken: Path, tmp_path: Path
) -> None:
    train(config, tmp_path / "whole", keep=[3, 4])
    assert same(tmp_path / "whole", unbroken)
    with pytest.raises(Stop):
        train(config, tmp_path / "killed", stop_at=4, keep=[3, 4])
    train(config, tmp_path / "killed", keep=[3, 4])
    for step in ("step-3", "step-4"):
        assert same(tmp_path / "killed", tmp_path / "whole", step)
        one, other = weights(tmp_path / "whole", step), weights(unbroken)
        assert any(not torch.equal(one[key], other[key]) for key in one)
    with pytest.raises(VtbenchError, match=r"keep: .*--lora"):
        train(replace(config, lora=2), tmp_path / "lora", keep=[3])


def test_a_training_is_not_bound_to_what_describes_and_scores_its_tasks(
    config: FineTune, unbroken: Path, tmp_path: Path
) -> None:
    shutil.copytree(unbroken, tmp_path / "older")
    path = tmp_path / "older" / "finetune.json"
    facts = json.loads(path.read_text())
    facts["config"]["tasks"]["relational"] |= {"description": "in older words", "metrics": ["accuracy"], "items": 5}
    path.write_text(json.dumps(facts))
    assert train(config, tmp_path / "older") == tmp_path / "older" / "model"
    facts["config"]["tasks"]["relational"]["version"] = 0
    path.write_text(json.dumps(facts))
    with pytest.raises(VtbenchError, match=r"differs in tasks\.relational\.version \(0 there"):
        train(config, tmp_path / "older")


def test_the_checkpoint_loads_in_the_adapter_and_in_plain_transformers(unbroken: Path, base: str) -> None:
    assert weights(unbroken).keys() == load_file(Path(base) / "model.safetensors").keys()
    assert any(key.startswith("vision_tower.vision_model.") for key in weights(unbroken))
    model, report = LlavaForConditionalGeneration.from_pretrained(unbroken / "model", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert AutoProcessor.from_pretrained(unbroken / "model").tokenizer.padding_side == "left"
    assert model.dtype == torch.float32
    result = vtbench.run(
        model="llava",
        model_args={"pretrained": str(unbroken / "model")},
        tasks=["relational"],
        metrics=["accuracy"],
        limit=4,
        output=str(unbroken / "runs"),
    )
    assert result.exit_status == 0


@pytest.mark.parametrize("stop", [1, 3, 4, STEPS])
def test_stopped_after_any_step_it_ends_as_if_it_had_not_been(
    stop: int, config: FineTune, unbroken: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        train(config, tmp_path, stop)
    train(config, tmp_path)
    assert losses(tmp_path) == losses(unbroken)
    assert same(tmp_path, unbroken)


def test_a_killed_process_ends_as_if_it_had_not_been(config: FineTune, unbroken: Path, tmp_path: Path) -> None:
    process = own_process.start(config, tmp_path, hang_at=5)
    while not (tmp_path / "hangs").exists():
        assert process.is_alive()
        time.sleep(0.05)
    process.kill()
    process.join()
    assert len(losses(tmp_path)) == 5
    assert not (tmp_path / "model").exists()
    train(config, tmp_path)
    assert losses(tmp_path) == losses(unbroken)
    assert same(tmp_path, unbroken)


def test_two_processes_train_as_one(config: FineTune, unbroken: Path, tmp_path: Path) -> None:
    # What torchrun and `accelerate launch` tell their processes.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    both = [own_process.start(config, tmp_path, {**shared, "RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert losses(tmp_path) == [(step, pytest.approx(loss, abs=1e-3)) for step, loss in losses(unbroken)]
    alone = weights(unbroken)
    for key, value in weights(tmp_path).items():
        torch.testing.assert_close(value, alone[key], atol=1e-5, rtol=1e-4)


def test_what_is_finished_is_not_trained_again(config: FineTune, unbroken: Path) -> None:
    seen: list[Any] = []
    assert finetune(config, unbroken, "cpu", seen.append) == unbroken / "model"
    assert seen == []


def test_another_config_is_refused_and_the_keys_are_named(config: FineTune, unbroken: Path) -> None:
    other = replace(config, rate=0.5, mix={"coarse": 1})
    with pytest.raises(VtbenchError, match=r"another config.*mix\.coarse.*rate \(0\.0003 there, 0\.5 here\)"):
        train(other, unbroken)


def test_a_full_disk_leaves_the_checkpoint_before(config: FineTune, unbroken: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(config, tmp_path, 3)
    before = (tmp_path / "finetune.pt").read_bytes()
    (tmp_path / "finetune.part").symlink_to("/dev/full")
    with pytest.raises(ResultsError, match="the checkpoint after step 4 cannot be written: the disk is full; earlier"):
        train(config, tmp_path)
    assert (tmp_path / "finetune.pt").read_bytes() == before
    assert not (tmp_path / "finetune.part").is_symlink()
    train(config, tmp_path)
    assert same(tmp_path, unbroken)


def test_a_model_that_does_not_fit_on_the_disk_can_be_written_later(
    config: FineTune, unbroken: Path, tmp_path: Path
) -> None:
    train(config, tmp_path)
    shutil.rmtree(tmp_path / "model")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(ResultsError, match="the finished model cannot be written: file too large; earlier states"):
            train(config, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in tmp_path.iterdir() if "model" in path.name]
    train(config, tmp_path)
    assert same(tmp_path, unbroken)


def test_a_loss_that_jumps_stops_and_the_last_good_state_is_kept(config: FineTune, tmp_path: Path) -> None:
    wild = replace(config, rate=1e6, warmup=3, steps=40)
    with pytest.raises(VtbenchError, match=r"diverged at step \d+: .*(jumped|nan|inf).*Try a lower rate"):
        train(wild, tmp_path, save_every=1)
    diverged = losses(tmp_path)
    for path in tmp_path.glob("finetune.pt"):
        kept = torch.load(path, weights_only=True)
        assert all(value.isfinite().all() for value in kept["modules"].values())
        assert kept["step"] <= len(diverged)
    assert all(math.isfinite(loss) for _, loss in diverged)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("part", ["vision", "connector", "text"])
def test_a_frozen_part_stays_as_it_is_and_the_others_move(
    part: str, config: FineTune, base: str, tmp_path: Path
) -> None:
    train(replace(config, freeze=(part,), steps=2), tmp_path)
    before = load_file(Path(base) / "model.safetensors")
    home = {"vision": "vision_tower.", "connector": "multi_modal_projector.", "text": "language_model."}
    moved = {key for key, value in weights(tmp_path).items() if not torch.equal(before[key], value)}
    assert not any(key.startswith(home[part]) for key in moved)
    for other, start in home.items():
        assert other == part or any(key.startswith(start) for key in moved), other


def test_the_vision_tower_learns_at_its_share_of_the_rate(config: FineTune, base: str, tmp_path: Path) -> None:
    def moved(share: float) -> dict[str, float]:
        # One step of Adam moves every weight by its rate; without decay and warm-up nothing else moves it.
        tuned = replace(config, steps=1, warmup=0, weight_decay=0.0, vision_rate=share)
        train(tuned, directory := tmp_path / str(share))
        before, after = load_file(Path(base) / "model.safetensors"), weights(directory)
        size = {name: float((after[name] - before[name]).abs().max()) for name in before}
        return {part: max(v for name, v in size.items() if name.startswith(part)) for part in ("vision", "multi_modal")}

    slow, full = moved(0.1), moved(1.0)
    assert slow["vision"] == pytest.approx(0.1 * full["vision"], rel=0.02)
    assert slow["multi_modal"] == pytest.approx(full["multi_modal"], rel=0.02)


def test_lora_moves_linear_layers_alone_and_leaves_a_plain_checkpoint(
    config: FineTune, base: str, tmp_path: Path
) -> None:
    tuned = replace(config, lora=2, freeze=("vision",))
    with pytest.raises(Stop):
        train(tuned, tmp_path / "broken", 3)
    train(tuned, tmp_path / "broken")
    train(tuned, tmp_path / "whole")
    assert same(tmp_path / "broken", tmp_path / "whole")
    before, after = load_file(Path(base) / "model.safetensors"), weights(tmp_path / "whole")
    moved = {key for key, value in after.items() if not torch.equal(before[key], value)}
    assert before.keys() == after.keys()
    assert {key.rpartition(".")[2] for key in moved} == {"weight"}
    assert {key.split(".")[0] for key in moved} == {"multi_modal_projector", "language_model"}
    assert not any("embed" in key or "norm" in key for key in moved)


def test_several_families_a_budget_and_a_penalty_train_together(config: FineTune, tmp_path: Path) -> None:
    mix = {"coarse": 1, "scene_graph": 0.5}
    full = replace(config, mix=mix, budget="random:k=4", penalty=("cosine", 0.1), steps=2)
    model = train(full, tmp_path, check_images=60)
    line = json.loads((tmp_path / "finetune.jsonl").read_text().splitlines()[-1])
    assert line["loss"] == pytest.approx(line["answers"] + 0.1 * (line["penalty"] + line["floor"]), abs=2e-4)
    guard = json.loads((tmp_path / "guard.json").read_text())
    assert model.is_dir()
    assert guard["penalty"] == ["cosine", 0.1]
    for name in ("base", "trained"):
        assert guard[name].keys() == {"information", "rs", "rs_interval", "flags", "accuracy"}
        assert guard[name]["accuracy"].keys() == mix.keys()
    assert guard["accepted"] == (not guard["reasons"])


def test_tensorboard_gets_the_log(config: FineTune, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(replace(config, steps=2), tmp_path, trackers=["tensorboard"])
    (file,) = [path for path in tmp_path.rglob("events.out.tfevents*") if path.parent.name == "vtbench"]
    seen = reader.EventAccumulator(str(file))
    seen.Reload()
    written = [(event.step, round(event.value, 4)) for event in seen.Scalars("loss")]
    assert written == [(step, pytest.approx(loss, abs=1e-3)) for step, loss in losses(tmp_path)]
