"""LoRA over a whole, a bfloat16 and a quantised base, and gradient checkpointing: what is trained, left and loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_items
import torch
from safetensors.torch import load_file

from vtbench.adapter import Adapter
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench_hf.checkpoint.published import save_published
from vtbench_training.finetune.base_model import load_base
from vtbench_training.finetune.trainable import TrainableVLM
from vtbench_training.finetune.trainer import FineTune, choose_base_dtype, finetune
from vtbench_training.small_models import random_model
from vtbench_training.small_models.sizes import Sizes

WIDE = Sizes(
    vision_hidden=64, vision_layers=1, vision_heads=2, hidden=128, layers=2, heads=2, kv_heads=2, intermediate=128,
    image_size=56,
)  # fmt: skip
"""As wide as the scales of 4-bit weights ask for."""
RANK = 4
KINDS: dict[str, dict[str, Any]] = {
    "whole": {"precision": "float32"},
    "bfloat16": {"base_dtype": "bfloat16"},
    "8bit": {"quantization": "8bit", "precision": "float32"},
    "4bit": {"quantization": "4bit", "precision": "float32"},
}


class Stop(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("base")
    save_published(*random_model("llava", WIDE), directory, torch.float32)
    return str(directory)


def config(base: str, kind: str, **more: Any) -> FineTune:
    if "quantization" in KINDS[kind]:
        pytest.importorskip("bitsandbytes")
    given = {"steps": 8, "batch_size": 4, "warmup": 1, "rate": 1e-2, "lora": RANK, **KINDS[kind], **more}
    return FineTune(mix={"coarse": 1}, base=base, **given)


def train(config: FineTune, directory: Path, stop_at: int | None = None) -> list[float]:
    losses = []

    def show(line: dict[str, Any]) -> None:
        losses.append(line["loss"])
        if line["step"] == stop_at:
            raise Stop

    finetune(config, directory, "cpu", show, save_every=2, log_every=1)
    return losses


@pytest.fixture(scope="module")
def trained(base: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[float]]]:
    """By kind: the directory of a training that nothing stopped, and its losses. Made when it is first asked for."""

    class Trained(dict[str, tuple[Path, list[float]]]):
        def __missing__(self, kind: str) -> tuple[Path, list[float]]:
            directory = tmp_path_factory.mktemp(kind)
            self[kind] = directory, train(config(base, kind), directory)
            return self[kind]

    return Trained()


def loaded(pretrained: str | Path, **arguments: Any) -> Adapter:
    return Registry().adapter("llava", {"pretrained": str(pretrained), **arguments}, "cpu", "float32")


def logprobs(adapter: Adapter) -> list[float]:
    return [value for output in adapter.rank(tiny_items.items(4)) for value in output.logprobs or ()]


def updates(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "lora" / "adapter_model.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_falls_and_the_updates_load_over_their_base(kind: str, base: str, trained: Any) -> None:
    directory, losses = trained[kind]
    assert sum(losses[-2:]) < 0.9 * sum(losses[:2])
    quantised = {"quantization": kind} if kind in ("8bit", "4bit") else {}
    adapted = logprobs(loaded(base, peft=str(directory / "lora"), **quantised))
    before = logprobs(loaded(base, **quantised))
    assert max(abs(a - b) for a, b in zip(adapted, before, strict=True)) > 0.1
    assert (directory / "model").exists() == (not quantised)


def test_the_merged_checkpoint_answers_as_the_updates_over_the_base(base: str, trained: Any) -> None:
    directory, _ = trained["whole"]
    merged, adapted = loaded(directory / "model"), loaded(base, peft=str(directory / "lora"))
    assert logprobs(merged) == pytest.approx(logprobs(adapted), abs=1e-5)
    items = tiny_items.items(4)
    assert [o.text for o in merged.generate(items, 5)] == [o.text for o in adapted.generate(items, 5)]


@pytest.mark.parametrize("kind", KINDS)
def test_trained_and_all_parameters_are_counted(kind: str, base: str, trained: Any) -> None:
    model = loaded(base).model  # type: ignore[attr-defined]
    linear = [
        module
        for module in model.modules()
        if type(module) is torch.nn.Linear and module is not model.get_output_embeddings()
    ]
    expected = sum(RANK * (module.in_features + module.out_features) for module in linear)
    recorded = json.loads((trained[kind][0] / "finetune.json").read_text())["parameters"]
    assert recorded == {"trained": expected, "all": model.num_parameters() + expected}
    assert sum(value.numel() for value in updates(trained[kind][0]).values()) == expected


@pytest.mark.parametrize("kind", ["bfloat16", "4bit"])
def test_stopped_it_resumes_to_the_same_updates(kind: str, base: str, trained: Any, tmp_path: Path) -> None:
    settings = config(base, kind)
    with pytest.raises(Stop):
        train(settings, tmp_path, 5)
    train(settings, tmp_path)
    ours, expected = updates(tmp_path), updates(trained[kind][0])
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in ours)


def test_gradient_checkpointing_changes_no_weight_and_may_be_turned_on_later(
    base: str, trained: Any, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        train(config(base, "whole"), tmp_path, 3)
    train(config(base, "whole", gradient_checkpointing="on"), tmp_path)
    ours, expected = updates(tmp_path), updates(trained["whole"][0])
    assert all(torch.allclose(ours[name], expected[name], atol=1e-6) for name in expected)


def test_activations_are_computed_again(base: str) -> None:
    settings = config(base, "whole", gradient_checkpointing="on")
    model = TrainableVLM(load_base(base, torch.device("cpu")), settings).adapter.model
    assert model.is_gradient_checkpointing
    settings = config(base, "whole")
    model = TrainableVLM(load_base(base, torch.device("cpu")), settings).adapter.model
    assert not model.is_gradient_checkpointing  # `auto` keeps them in a small model


def test_the_base_is_in_bfloat16_and_what_is_trained_in_float32(base: str) -> None:
    adapter = load_base(base, torch.device("cpu"), dtype="bfloat16")
    model = TrainableVLM(adapter, config(base, "bfloat16")).model
    kinds = {parameter.requires_grad: parameter.dtype for parameter in model.parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}
    adapter = load_base(base, torch.device("cpu"), dtype="bfloat16")
    model = TrainableVLM(adapter, config(base, "bfloat16", lora=0, freeze=("vision",))).model
    assert {parameter.requires_grad: parameter.dtype for parameter in model.parameters()} == kinds


def test_the_base_is_in_bfloat16_by_itself_under_lora_on_a_gpu(base: str) -> None:
    settings = config(base, "whole", precision="auto")
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert choose_base_dtype(settings, gpu, torch.bfloat16) is torch.bfloat16
    assert choose_base_dtype(settings, gpu, torch.float32) is torch.float32
    assert choose_base_dtype(settings, cpu, torch.bfloat16) is torch.float32
    assert choose_base_dtype(replace(settings, lora=0), gpu, torch.bfloat16) is torch.float32


def test_another_base_dtype_is_another_training(base: str, trained: Any) -> None:
    with pytest.raises(VtbenchError, match=r"another config was trained here.*quantization"):
        train(config(base, "8bit"), trained["whole"][0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"quantization": "4bit"}, "quantised weights cannot be trained; add updates to them with --lora 16"),
        ({"base_dtype": "bfloat16", "precision": "float32"}, "leave --precision float32 out"),
        ({"quantization": "3bit"}, "quantization: must be '8bit' or '4bit'"),
        ({"gradient_checkpointing": "yes"}, "gradient_checkpointing: must be 'auto', 'on' or 'off'"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(VtbenchError, match=says):
        FineTune(mix={"coarse": 1}, **settings)


def test_the_updates_name_their_base_and_are_refused_over_another(trained: Any, tmp_path: Path) -> None:
    save_published(*random_model("llava", WIDE, seed=9), tmp_path, torch.float32)
    with pytest.raises(VtbenchError, match="was trained on other weights than those of"):
        loaded(tmp_path, peft=str(trained["whole"][0] / "lora"))
