"""Fine-tuning of a third party's adapter, which knows the protocol `TrainableAdapter` and nothing of transformers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_adapter
from toy_adapter import BudgetToy, Toy

import vtbench
import vtbench_budgets
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench_training.finetune.base_model import checked_trainable
from vtbench_training.finetune.item_batches import ItemStream, TrainingItems
from vtbench_training.finetune.trainable import TrainableVLM, check
from vtbench_training.finetune.trainer import FineTune, finetune

CONFIG = FineTune(
    mix={"coarse": 1}, model="toy", steps=8, batch_size=8, warmup=0, rate=2e-2, vision_rate=1.0, precision="float32"
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry({"toy": toy_adapter, "budgets": vtbench_budgets})


def train(config: FineTune, directory: Path, registry: Registry, **more: Any) -> Path:
    return finetune(config, directory, "cpu", registry=registry, **{"log_every": 1, "save_every": 4, **more})


def losses(directory: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (directory / "finetune.jsonl").read_text().splitlines()]


def loss_of(adapter: Toy, config: FineTune = CONFIG) -> float:
    """Return the loss on items that training did not see."""
    batch = ItemStream(TrainingItems({"coarse": 1}, 1, 16), adapter, 0, 1, 16).batch(0)
    with torch.no_grad():
        return float(TrainableVLM(adapter, config).eval()(batch)[0])


def test_the_model_learns_and_its_own_adapter_loads_and_runs_it(tmp_path: Path, registry: Registry) -> None:
    assert isinstance(Toy(), vtbench.TrainableAdapter)
    assert not isinstance(Toy(), vtbench.BudgetTrainableAdapter)
    assert Toy.capabilities == {"generate", "train"}
    model = train(CONFIG, tmp_path, registry)
    assert losses(tmp_path)[-1] < 0.8 * losses(tmp_path)[0]
    trained = registry.adapter("toy", {"pretrained": str(model)})
    assert loss_of(trained) < 0.8 * loss_of(Toy())
    run = {"tasks": ["coarse"], "metrics": ["accuracy"], "limit": 4, "output": str(tmp_path), "report": False}
    result = vtbench.run("toy", model_args={"pretrained": str(model)}, registry=registry, **run)
    assert result.exit_status == 0
    assert result.scores["coarse"]["acc"].value is not None


def test_it_resumes_to_the_same_weights(tmp_path: Path, registry: Registry) -> None:
    class Stop(Exception):
        pass

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 6:
            raise Stop

    whole = train(CONFIG, tmp_path / "whole", registry)
    with pytest.raises(Stop):
        train(CONFIG, tmp_path / "broken", registry, show=stop)
    broken = train(CONFIG, tmp_path / "broken", registry)
    assert losses(tmp_path / "whole") == losses(tmp_path / "broken")
    one, other = (torch.load(path / "weights.pt") for path in (whole, broken))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert train(replace(CONFIG), tmp_path / "whole", registry, show=stop) == whole


@pytest.mark.parametrize("change", [{"lora": 2}, {"freeze": ("text", "vision")}, {"penalty": ("cosine", 0.1)}])
def test_parts_lora_and_penalties_are_those_of_any_model(
    change: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    model = train(replace(CONFIG, steps=2, **change), tmp_path, registry, check_images=0)
    before, after = Toy().model.state_dict(), Toy(str(model)).model.state_dict()
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    if "lora" in change:
        assert moved == {"connector.weight", "head.weight"}
    elif "freeze" in change:
        assert moved == {"connector.weight", "connector.bias"}
    else:
        line = json.loads((tmp_path / "finetune.jsonl").read_text().splitlines()[-1])
        assert line["loss"] == pytest.approx(line["answers"] + 0.1 * (line["penalty"] + line["floor"]), abs=2e-4)


def test_it_is_trained_under_a_budget_where_it_takes_one(tmp_path: Path, registry: Registry) -> None:
    config = replace(CONFIG, model="toy_budget", budget="random:k=2", steps=2)
    train(config, tmp_path, registry)
    adapter = BudgetToy()
    all_kept = loss_of(adapter, replace(config, budget="grid:f=1"))
    assert all_kept == pytest.approx(loss_of(adapter), rel=1e-5)
    assert loss_of(adapter, config) != pytest.approx(all_kept, rel=1e-6)
    with pytest.raises(VtbenchError, match="budget: --model toy takes none"):
        train(replace(config, model="toy"), tmp_path / "other", registry)


class Forgetful(vtbench.BaseAdapter):
    capabilities = frozenset({"generate", "train"})


class Short(Toy):
    def answer_logits(self, inputs: Any, targets: Any) -> Any:
        return super().answer_logits(inputs, targets)[:-1]


class Claims(Toy):
    capabilities = frozenset({"generate", "train", "budget"})


def parts(**names: tuple[str, ...]) -> Toy:
    adapter = Toy()
    adapter.parts = {**Toy.parts, **names}
    return adapter


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (vtbench.BaseAdapter(), "lacks the capability 'train'"),
        (Forgetful(), "but has no answer_logits and no encode_training and no model and no parts and no save"),
        (parts(vision=("patch",)), "parts: vision names 'patch', which the model does not have"),
        (parts(text=("embedding", "head")), "the parameter 'decoder.weight_ih_l0' is in none of vision, connector"),
        (parts(text=("embedding", "decoder", "head", "connector")), "'connector' of text has a parameter that is in"),
    ],
)
def test_what_an_adapter_lacks_is_named_in_one_line(adapter: Any, says: str) -> None:
    with pytest.raises(VtbenchError, match="--model toy cannot be trained: ") as caught:
        checked_trainable(adapter, "toy")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_capability_without_its_method_and_a_lost_answer_are_named() -> None:
    with pytest.raises(VtbenchError, match="its adapter has no budgeted_answer_logits and no token_boxes"):
        check(Claims(), replace(CONFIG, budget="random:k=2"))
    with pytest.raises(VtbenchError, match=r"answer_logits gave \d+ rows for \d+ tokens of answers"):
        loss_of(Short())


def test_a_penalty_needs_tokens_to_be_checked(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(VtbenchError, match="the penalty cannot be checked; --check-images 0 skips"):
        train(replace(CONFIG, penalty=("cosine", 0.1)), tmp_path / "x", registry)
    assert not (tmp_path / "x").exists()
    assert np.isfinite(loss_of(Toy(), replace(CONFIG, penalty=("cosine", 0.1))))
