"""What fine-tuning learns from is what the benchmark asks, and its loss is what transformers says it is."""

from __future__ import annotations

import doctest
from collections import Counter
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from tiny_base import write_tiny_base

from vtbench.adapter import IGNORE_INDEX
from vtbench.errors import VtbenchError
from vtbench.scenes.splits import split_of
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.checkpoint import published
from vtbench_training import loss_monitor
from vtbench_training.finetune import part_parameters, penalty_check, settings
from vtbench_training.finetune.base_model import load_base
from vtbench_training.finetune.item_batches import ItemStream, TrainingItems
from vtbench_training.finetune.settings import FineTune
from vtbench_training.finetune.trainable import TrainableVLM

MIX = {"coarse": 1.0, "attribute": 0.0, "relational": 2.0, "scene_graph": 1.0}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> HFAdapter:
    base = write_tiny_base(tmp_path_factory.mktemp("base") / "tiny")
    return load_base(str(base), torch.device("cpu"))


def family(number: int, items: TrainingItems) -> str:
    return items.sample(number).id.split("/")[0]


def test_items_are_the_tasks_own_of_the_train_split() -> None:
    items = TrainingItems(MIX, 7, 56)
    for number in range(40):
        sample = items.sample(number)
        name = sample.id.split("/")[0]
        own = load_task(find_task_files()[name], split="train", seed=7).sample(number, 56)
        assert (sample.prompt, sample.target, sample.id) == (own.prompt, own.target, own.id)
        assert sample.images[0].tobytes() == own.images[0].tobytes()
        assert sample.scene is not None
        assert split_of(sample.scene) == "train"


def test_families_come_as_their_weights_say() -> None:
    items = TrainingItems(MIX, 0, 56)
    drawn = Counter(family(number, items) for number in range(0, 1200, 2))
    assert set(drawn) == {"coarse", "relational", "scene_graph"}
    assert drawn["relational"] == pytest.approx(300, abs=4 * 300**0.5)
    assert drawn["coarse"] == pytest.approx(150, abs=4 * 150**0.5)


def test_members_of_a_pair_stand_beside_each_other() -> None:
    items = TrainingItems({"relational": 1}, 0, 56)
    for number in range(0, 20, 2):
        assert items.sample(number).cluster == items.sample(number + 1).cluster


@pytest.mark.parametrize(
    ("mix", "says"),
    [({"relatonal": 1.0}, "unknown task 'relatonal'. Did you mean 'relational'"), ({"probe": 1.0}, "is no family")],
)
def test_what_is_no_family_is_refused(mix: dict[str, float], says: str) -> None:
    with pytest.raises(VtbenchError, match=says):
        TrainingItems(mix, 0, 56)


def test_prompts_are_the_adapters_and_targets_the_answers(adapter: HFAdapter) -> None:
    items = TrainingItems(MIX, 1, 56)
    samples = [items.sample(number) for number in range(12)]
    batch = adapter.encode_training(samples)
    for row, sample in enumerate(samples):
        inputs = adapter.model_inputs([sample])
        target = batch["targets"][row]
        answered = target != IGNORE_INDEX
        mine = batch["input_ids"][row][batch["attention_mask"][row] == 1]
        length = int(answered.sum())
        assert mine[:-length].tolist() == inputs["input_ids"][0].tolist()
        assert mine[-length:].tolist() == target[answered].tolist()
        assert adapter.tokenizer.decode(target[answered]) == f" {sample.target}</s>"
        assert torch.equal(batch["pixel_values"][row], inputs["pixel_values"][0])


def test_a_batch_depends_on_its_step_alone_and_processes_share_it(adapter: HFAdapter) -> None:
    def stream(first: int, part: tuple[int, int] = (0, 1)) -> ItemStream:
        return ItemStream(TrainingItems(MIX, 1, 56), adapter, first, 5, 4, part)

    whole = [*stream(0)][3]
    for key, value in next(iter(stream(3))).items():
        assert torch.equal(value, whole[key]), key
    parts = [stream(0, (turn, 2)).batch(3) for turn in (0, 1)]
    assert torch.equal(torch.cat([part["numbers"] for part in parts]), whole["numbers"])
    assert torch.equal(torch.cat([part["pixel_values"] for part in parts]), whole["pixel_values"])


def test_the_loss_is_that_of_transformers(adapter: HFAdapter) -> None:
    items, trainable = TrainingItems(MIX, 1, 56), TrainableVLM(adapter, FineTune(mix=MIX))
    samples, each = [items.sample(number) for number in range(6)], []
    for sample in samples:
        alone = adapter.encode_training([sample])
        labels = torch.full_like(alone["input_ids"], IGNORE_INDEX)
        labels[:, 1:] = alone["targets"][:, :-1]
        said = adapter.model(input_ids=alone["input_ids"], pixel_values=alone["pixel_values"], labels=labels)
        each.append(said.loss.item())
    loss, shown = trainable({"numbers": torch.arange(6), **adapter.encode_training(samples)})
    assert loss.item() == pytest.approx(sum(each) / 6, rel=1e-5)
    assert shown["answers"] == loss.item()


def test_a_budget_of_all_tokens_is_none_and_one_of_none_sees_nothing(adapter: HFAdapter) -> None:
    items = TrainingItems({"relational": 1}, 1, 56)
    batch = {"numbers": torch.arange(4), **adapter.encode_training([items.sample(number) for number in range(4)])}
    dark = {**batch, "pixel_values": torch.zeros_like(batch["pixel_values"])}

    def loss(budget: str | None, seen: dict[str, torch.Tensor]) -> float:
        trainable = TrainableVLM(adapter, FineTune(mix=MIX, budget=budget))
        return float(trainable(seen)[0].detach())

    assert loss("grid:f=1", batch) == pytest.approx(loss(None, batch), rel=1e-5)
    assert loss("grid:f=0", batch) == loss("grid:f=0", dark)
    assert loss("random:k=4", batch) != pytest.approx(loss("random:k=4", dark), rel=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mix": {}}, "sum to nothing"),
        ({"mix": {"coarse": 0, "relational": 0}}, "sum to nothing"),
        ({"mix": {"coarse": -1}}, "mix: coarse: must be greater than or equal to 0, not -1"),
        ({"mix": {"coarse": float("nan")}}, "not nan"),
        ({"steps": 0}, "steps: must be greater than or equal to 1, not 0"),
        ({"rate": 0.0}, "rate: must be greater than 0, not 0.0"),
        ({"rate": float("inf")}, "rate: must be a finite number, not inf"),
        ({"freeze": ("vison",)}, "freeze: must be 'vision', 'connector' or 'text', not 'vison'"),
        ({"freeze": ("text", "vision", "connector")}, "nothing is left to train"),
        ({"penalty": ("cosin", 0.1)}, "penalty: must be 'cosine', 'logdet' or 'decorrelation', not 'cosin'"),
        ({"penalty": ("cosine", -1.0)}, "penalty: must be greater than or equal to 0, not -1.0"),
        ({"penalty": ("cosine", 0.1), "batch_size": 1}, "batch_size must be at least 2"),
        ({"penalty": ("cosine", 0.1), "freeze": ("vision", "connector")}, "no visual token can move"),
        ({"precision": "float16"}, "precision: must be 'auto', 'float32' or 'bfloat16', not 'float16'"),
    ],
)
def test_settings_out_of_range_are_one_line(change: dict, says: str) -> None:
    with pytest.raises(VtbenchError, match=says) as caught:
        replace(FineTune(mix=MIX), **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "examples"), [(loss_monitor, 2), (penalty_check, 3), (settings, 2), (part_parameters, 2), (published, 1)]
)
def test_the_examples_in_the_docstrings_are_right(module: ModuleType, examples: int) -> None:
    assert doctest.testmod(module) == (0, examples)
