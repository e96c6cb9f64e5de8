"""A LLaVA around SmolLM2-135M-Instruct: it is pretrained, resumes, fits into memory, and a study trains from it."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

import vtbench
from vtbench_llava import WEIGHTS
from vtbench_study.plan import Plan
from vtbench_training.finetune.trainer import finetune
from vtbench_training.pretrain.pipeline import pretrain
from vtbench_training.pretrain.recipe import InitialTower, PretrainedDecoder, Recipe, Stage
from vtbench_training.training_loop import Schedule

VOCABULARY, PARAMETERS = 49_152, 134_515_008
PEAK_GIB = 7.0
"""Float32 weights, gradients and AdamW's two moments of 134.5 million parameters are 2.0 GiB; activations and torch the
rest. With a second copy of any of them it would be more."""
FEW = Schedule(steps=6, rate=3e-4, batch_size=2, warmup=1, save_every=3)
MIX = {"coarse": 1, "relational": 1}


def recipe(decoder: Path, lora: int) -> Recipe:
    stages = (Stage("connector", replace(FEW, rate=1e-3), MIX), Stage("captions", FEW, MIX))
    return Recipe(questions=2, stages=(PretrainedDecoder(str(decoder), lora), InitialTower("embedded"), *stages))


@pytest.fixture(scope="module", params=[0, 8], ids=["all", "lora"])
def trained(request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a base was pretrained, in one go."""
    directory: Path = tmp_path_factory.mktemp("base")
    pretrain(recipe(checkpoint, request.param), directory, torch.device("cpu"), lambda line: None)
    return directory


def test_the_losses_fall_within_memory(trained: Path) -> None:
    (connector,), (captions,) = (lines(trained, name) for name in ("3-connector", "4-captions"))
    assert captions["loss"] < connector["loss"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 < PEAK_GIB


def test_tokens_and_tower_are_those_that_were_given(trained: Path, checkpoint: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(checkpoint.parent), gguf_file=checkpoint.name)
    own = transformers.AutoTokenizer.from_pretrained(trained / "model")
    assert own.get_vocab() == tokenizer.get_vocab() | {"<image>": VOCABULARY}
    weights, embedded = load_file(trained / "model" / "model.safetensors"), load_file(WEIGHTS / "model.safetensors")
    assert sum(w.numel() for name, w in weights.items() if "language_model" in name) == PARAMETERS + 576
    tower = {name: weight for name, weight in weights.items() if name.startswith("vision_tower.")}
    assert tower
    assert all(torch.equal(weight, embedded[name]) for name, weight in tower.items())


def test_a_killed_training_ends_with_the_same_weights(trained: Path, checkpoint: Path, tmp_path: Path) -> None:
    lora = json.loads((trained / "recipe.json").read_text())["stages"][0]["lora"]

    def stop(line: dict) -> None:
        if line["stage"] == "4-captions":  # after the last step, before it is saved
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(recipe(checkpoint, lora), tmp_path, torch.device("cpu"), stop)
    pretrain(recipe(checkpoint, lora), tmp_path, torch.device("cpu"), lambda line: None)
    one, two = (load_file(path / "model" / "model.safetensors") for path in (trained, tmp_path))
    assert all(torch.equal(weight, two[name]) for name, weight in one.items())
    assert lines(trained, "4-captions")[-1]["loss"] == lines(tmp_path, "4-captions")[-1]["loss"]


def test_a_study_trains_from_it_and_it_answers_in_its_chat(trained: Path, tmp_path: Path) -> None:
    plan = Plan(
        base=str(trained / "model"),
        families=("coarse", "relational"),
        mixes={},
        penalties={},
        full_rate=(),
        snapshots=(),
        seeds=(0,),
        steps=2,
    )
    model = finetune(replace(plan.settings(plan.cell("coarse-0")), batch_size=2), tmp_path / "cell", "cpu")
    done = vtbench.run(
        "llava",
        ["coarse"],
        model_args={"pretrained": str(model)},
        metrics=["accuracy"],
        limit=2,
        device="cpu",
        report=False,
        output=tmp_path / "runs",
    )
    records = [json.loads(line) for line in (done.path / "samples.jsonl").read_text().splitlines()]
    assert [record["error"] for record in records] == [None, None]
    for record in records:
        assert "<|im_start|>user\n<image>\n" in record["rendered_prompt"]
        assert record["rendered_prompt"].endswith("<|im_end|>\n<|im_start|>assistant\n")


def lines(directory: Path, stage: str) -> list[dict]:
    return [json.loads(line) for line in (directory / f"{stage}.jsonl").read_text().splitlines()]
