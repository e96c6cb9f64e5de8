"""Training on natural scenes and on rows of a user's own: what is bound, what comes when, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_base import write_tiny_base
from transformers import AutoTokenizer

from vtbench.cli import status
from vtbench.errors import SampleError, VtbenchError
from vtbench.registry import Registry
from vtbench.task.catalog import builtin_tasks
from vtbench.types import Sample
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.training import check_text
from vtbench_training.finetune import training_tasks
from vtbench_training.finetune.base_model import load_base
from vtbench_training.finetune.item_batches import Failure, ItemStream, TrainingItems, raising
from vtbench_training.finetune.item_checks import check_items
from vtbench_training.finetune.settings import FineTune
from vtbench_training.finetune.trainer import finetune

REGISTRY = Registry()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_base(tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="module")
def adapter(base: str) -> HFAdapter:
    loaded = load_base(base, torch.device("cpu"))
    assert isinstance(loaded, HFAdapter)
    return loaded


def rows_task(folder: Path, train: list[dict[str, Any]] | None = None, data: str = "train: train.jsonl") -> str:
    """Write a task over rows with five for training, unless they are given, and return its path."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (30, 20), "red").save(folder / "red.png")
    answers = {"target": "red", "choices": ["red", "blue"]}
    usual = [{"image": "red.png", "prompt": f"What is {n}?", **answers} for n in range(5)]
    for name, rows in (("train", train or usual), ("test", usual[:2])):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    path = folder / "mine.yaml"
    path.write_text(f"task: mine\nitems: 2\ndata: {{path: test.jsonl, choices: choices, {data}}}\n")
    return str(path)


def natural_task(folder: Path, name: str = "still_life", more: str = "") -> str:
    """Write a task of natural scenes over a cast of its own, and return its path."""
    folder.mkdir()
    shutil.copytree(builtin_tasks() / "natural" / "cast", folder / "cast")
    path = folder / f"{name}.yaml"
    path.write_text(f"task: {name}\ninclude: natural_relational\nscene: {{cast: cast, max_objects: 2}}\n{more}")
    return str(path)


def test_natural_scenes_come_in_minimal_pairs_at_the_models_size() -> None:
    items = TrainingItems({"natural_relational": 1}, 3, 56)
    for number in range(0, 8, 2):
        one, other = items.sample(number), items.sample(number + 1)
        assert one.cluster == other.cluster
        assert one.prompt == other.prompt
        assert one.target != other.target
        assert one.images[0].size == (56, 56)


def test_a_training_is_bound_to_the_content_of_its_cast_and_not_to_its_place(tmp_path: Path) -> None:
    here, there = (TrainingItems({natural_task(tmp_path / name): 1}, 0, 56) for name in ("here", "there"))
    assert (here.config(), here.mix) == (there.config(), {"still_life": 1})
    assert here.sample(4).images[0].tobytes() == there.sample(4).images[0].tobytes()
    apple = tmp_path / "there" / "cast" / "apple.png"
    Image.open(apple).rotate(180).save(apple)
    changed = TrainingItems({str(tmp_path / "there" / "still_life.yaml"): 1}, 0, 56)
    assert changed.config() != here.config()


def test_a_group_is_its_tasks_and_a_task_file_is_what_its_name_is() -> None:
    assert TrainingItems({"natural": 2}, 0, 56).mix == dict.fromkeys(
        ("natural_attribute", "natural_coarse", "natural_relational", "natural_scene_graph"), 2
    )
    by_path = TrainingItems({str(builtin_tasks() / "coarse.yaml"): 1, "relational": 0}, 0, 56)
    by_name = TrainingItems({"coarse": 1, "relational": 0}, 0, 56)
    assert (by_path.config(), by_path.mix) == (by_name.config(), by_name.mix)


def test_each_pass_over_rows_has_all_of_them_in_another_order(tmp_path: Path) -> None:
    path = rows_task(tmp_path)

    def asked(seed: int, turn: int) -> list[str]:
        items = TrainingItems({path: 1}, seed, 56)
        return [items.sample(number).prompt for number in range(5 * turn, 5 * turn + 5)]

    whole = {f"What is {n}?" for n in range(5)}  # `items: 2` counts what is tested
    passes = [asked(0, turn) for turn in range(4)]
    assert all(set(each) == whole for each in passes)
    assert len({tuple(each) for each in [*passes, asked(1, 0)]}) > 2
    assert asked(0, 1) == passes[1]


def test_rows_are_bound_to_their_content_and_that_of_their_images(tmp_path: Path) -> None:
    path = rows_task(tmp_path)
    found = [TrainingItems({path: 1}, 0, 56).config()]
    Image.new("RGB", (30, 20), "blue").save(tmp_path / "red.png")
    found.append(TrainingItems({path: 1}, 0, 56).config())
    rows_task(tmp_path, [{"image": "red.png", "prompt": "Which?", "target": "red", "choices": ["red"]}])
    Image.new("RGB", (30, 20), "blue").save(tmp_path / "red.png")
    found.append(TrainingItems({path: 1}, 0, 56).config())
    assert found[0] != found[1] != found[2]
    assert found[0] != found[2]


LONG = "a very long answer of many words"
ROW = {"image": "red.png", "prompt": "What is it?", "target": "red", "choices": ["red", "blue"]}


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda at: rows_task(at, data="id: prompt"), "has no rows to train on; name a file of them"),
        (lambda at: rows_task(at, data="train: test.jsonl"), "'test.jsonl' are the rows that the task tests on"),
        (lambda at: rows_task(at, data="train: none.jsonl"), "none.jsonl"),
        (lambda at: rows_task(at, [ROW, {**ROW, "target": None}]), "row 2: 'target' is missing"),
        (lambda at: rows_task(at, [ROW, {**ROW, "image": "gone.png"}]), "gone.png"),
        (lambda at: rows_task(at, [{**ROW, "prompt": "why " * 3000}]), "and the model's context"),
        (lambda at: rows_task(at, [{**ROW, "target": "</s>", "choices": None}]), "writes the answer '</s>' as ''"),
        (
            lambda at: rows_task(at, [{**ROW, "target": LONG * 30, "choices": None}]),
            "tokens of this model, but its task lets it write 128; raise max_new_tokens",
        ),
        (lambda at: "probe", "'probe' is no family but a mix of them"),
        (lambda at: "natural_corse", "Did you mean 'natural_coarse'"),
        (lambda at: "nothing/here.yaml", "no such task file"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(
    write: Callable[[Path], str], says: str, tmp_path: Path, adapter: HFAdapter
) -> None:
    with pytest.raises(VtbenchError) as caught:
        check_items(TrainingItems({write(tmp_path): 1}, 0, 56), adapter)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_images_are_for_a_model_that_takes_them(
    tmp_path: Path, adapter: HFAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = TrainingItems({rows_task(tmp_path, [{**ROW, "image": ["red.png"] * 2}] * 2): 1}, 0, 56)
    check_items(items, adapter)
    monkeypatch.setattr(adapter, "capabilities", adapter.capabilities - {"images"})
    with pytest.raises(VtbenchError, match="it has 2 images, and the model takes one"):
        check_items(items, adapter)


def test_the_same_task_twice_is_refused() -> None:
    with pytest.raises(VtbenchError, match="'natural_coarse' is there twice"):
        TrainingItems({"natural": 1, "natural_coarse": 2}, 0, 56)


def test_a_budget_that_goes_by_place_is_not_told_wrong_places(tmp_path: Path, adapter: HFAdapter) -> None:
    large = TrainingItems({natural_task(tmp_path / "large", more="image_size: 112\n"): 1}, 0, 56)
    check_items(large, adapter, "grid:f=0.5")  # of one tower all square images have the same places
    adapter_of_tiles = replace_boxes(adapter)
    with pytest.raises(VtbenchError, match=r"not 56 pixels square.*set image_size: 56"):
        check_items(large, adapter_of_tiles, "grid:f=0.5")
    with pytest.raises(VtbenchError, match="not 56 pixels square"):
        check_items(TrainingItems({rows_task(tmp_path / "rows"): 1}, 0, 56), adapter_of_tiles, "grid:f=0.5")
    check_items(TrainingItems({"natural_coarse": 1}, 0, 56), adapter_of_tiles, "grid:f=0.5")


def replace_boxes(adapter: HFAdapter) -> Any:
    """Return an adapter whose tokens stand where the image's size says, as those of tiles do."""

    class Tiles:
        def __getattr__(self, name: str) -> Any:
            return getattr(adapter, name)

        def token_boxes(self, size: tuple[int, int], layer: str) -> Any:
            return torch.full((size[0] // 56, 4), 1.0).numpy()

    return Tiles()


def test_a_word_that_the_tokenizer_lacks_is_never_trained_on() -> None:
    class OfWords:
        """Tells three words, as a tokenizer of words with an unknown-token."""

        unk_token_id = 0
        known = ("what", "is", "red")

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [self.known.index(word) + 1 if word in self.known else 0 for word in text.split()]}

        def decode(self, ids: list[int], **_: Any) -> str:
            return " ".join(self.known[i - 1] for i in ids)

    check_text(OfWords(), Sample("q", 0, (), "what is", "red"))
    with pytest.raises(SampleError, match="does not know 'mug' in the answer 'red mug'"):
        check_text(OfWords(), Sample("q", 0, (), "what is", "red mug"))
    with pytest.raises(SampleError, match="does not know 'left' in the question"):
        check_text(OfWords(), Sample("q", 0, (), "what is left", "red"))


def test_the_embedded_tokenizer_writes_whatever_a_cast_is_called(base: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    for text in ("apple", "polar bear", "1 small red solid cactus ; 2 large black solid hat | 1 above 2", "Äpfel 3 £"):
        check_text(tokenizer, Sample("q", 0, (), text, text))


def test_what_fails_in_the_loader_is_the_error_itself(tmp_path: Path, adapter: HFAdapter) -> None:
    items = TrainingItems({rows_task(tmp_path): 1}, 0, 56)
    (tmp_path / "red.png").unlink()
    stream = ItemStream(items, adapter, 0, 2, 2)
    with pytest.raises(SampleError, match=r"red\.png"):
        next(iter(stream))
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1)
    with pytest.raises(SampleError) as caught:
        list(raising(loader))
    assert "Traceback" not in str(caught.value)
    with pytest.raises(SampleError, match="as it is"):
        list(raising([Failure(SampleError("as it is"))]))


def test_a_model_trains_on_natural_scenes_and_rows_together_and_resumes(base: str, tmp_path: Path) -> None:
    mix = {"natural_relational": 1, rows_task(tmp_path / "rows"): 1}
    config = FineTune(mix=mix, base=base, steps=2, batch_size=4, warmup=1, precision="float32")
    model = finetune(config, tmp_path / "out", "cpu", log_every=1)
    facts = json.loads((tmp_path / "out" / "finetune.json").read_text())["config"]
    assert facts["mix"] == {"natural_relational": 1, "mine": 1}
    assert facts["tasks"]["natural_relational"]["scene"]["cast"].startswith("12 objects, ")
    assert finetune(config, tmp_path / "out", "cpu") == model
    rows_task(tmp_path / "rows", [ROW, {**ROW, "target": "blue"}])
    with pytest.raises(VtbenchError, match=r"differs in tasks\.mine"):
        finetune(config, tmp_path / "out", "cpu")
    with pytest.raises(VtbenchError, match="another config"):
        finetune(replace(config, mix={"natural_relational": 1}), tmp_path / "out", "cpu")


def test_the_command_takes_files_and_claims_nothing_that_it_refuses(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = rows_task(tmp_path, [ROW, {**ROW, "target": LONG + "</s>", "choices": None}]), tmp_path / "out"
    assert status(["train", "--base", base, "--mix", f"natural_coarse=1,{path}=2", "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vtbench: mix: mine: mine/1: the model's tokenizer writes the answer")
    assert error.count("\n") == 1
    assert not output.exists()


def test_scenes_are_looked_at_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_tasks, "CHECKED_SCENES", 5)
    tasks, _ = training_tasks.training_tasks({"natural_coarse": 1}, 0, REGISTRY)
    assert [draft.target for draft in tasks["natural_coarse"].drafts()] == [
        tasks["natural_coarse"].sample(number, 56).target for number in range(5)
    ]


@pytest.mark.parametrize(
    ("family", "digest"),
    [
        ("coarse", "fd63851fdd7318dc"),
        ("attribute", "84b4ac957bdc9045"),
        ("relational", "795da67d6a0cfc5a"),
        ("scene_graph", "71fe073a584b7316"),
    ],
)
def test_what_the_built_in_families_train_on_does_not_move(family: str, digest: str) -> None:
    """A training that has begun compares these settings: it could not be resumed if they moved."""
    settings = json.dumps(TrainingItems({family: 1}, 1, 112).config(), sort_keys=True)
    assert hashlib.sha256(settings.encode()).hexdigest()[:16] == digest
