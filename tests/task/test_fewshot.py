"""Few-shot examples: never of the question's scene, balanced over answers, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from vtbench.errors import SampleError, TaskError
from vtbench.scenes.splits import quantised
from vtbench.task import fewshot
from vtbench.task.catalog import find_task_files
from vtbench.task.fewshot import ExamplePool
from vtbench.task.loading import load_task
from vtbench.task.prepared import Repeated, WithContext, in_format
from vtbench.types import Message, Sample, Task

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")


def builtin(name: str, **overrides: object) -> Task:
    return load_task(find_task_files()[name], **overrides)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("split", ["test", "train"])
def test_no_example_shares_the_questions_scene(family: str, split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On `train` the first questions are themselves in the pool, here of so few that one in four would be drawn."""
    monkeypatch.setattr(fewshot, "POOL", 16)
    task, pool = builtin(family, split=split), ExamplePool(builtin(family, split="train"), 4, seed=0)
    for index in range(100):
        sample = task.sample(index, 16)
        examples = pool.draw(sample, 16)
        assert len(examples) == 4
        scenes = [quantised(example.scene) for example in examples if example.scene]
        assert sample.scene is not None
        assert quantised(sample.scene) not in scenes
        assert len({*scenes}) == 4, "no two examples share one either"
        assert sample.cluster not in {example.cluster for example in examples}


@pytest.mark.parametrize(("family", "k"), [("relational", 2), ("relational", 4), ("coarse", 8), ("attribute", 4)])
def test_answers_are_balanced_over_the_questions_choices(family: str, k: int) -> None:
    task, pool = builtin(family), ExamplePool(builtin(family, split="train"), k, seed=1)
    positions: Counter[tuple[int, str]] = Counter()
    for index in range(60):
        sample = task.sample(index, 16)
        examples = pool.draw(sample, 16)
        assert {example.choices for example in examples} == {sample.choices}
        counts = Counter(example.target for example in examples)
        assert max(counts.values()) - min(counts.get(choice, 0) for choice in sample.choices) <= 1
        positions.update((i, example.target) for i, example in enumerate(examples))
    if family == "relational" and k == 2:
        assert 15 < positions[0, "yes"] < 45, "the order is random: the last example does not give the answer away"


def test_a_seed_decides_and_a_pair_has_the_same_examples() -> None:
    task, train = builtin("relational"), builtin("relational", split="train")

    def ids(seed: int, index: int) -> list[str]:
        return [example.id for example in ExamplePool(train, 3, seed).draw(task.sample(index, 16), 16)]

    assert ids(0, 0) == ids(0, 0) == ids(0, 1), "both questions of the pair"
    assert ids(0, 0) != ids(1, 0)
    assert ids(0, 0) != ids(0, 2)


def test_examples_are_in_the_format_of_the_question() -> None:
    asked = in_format(builtin("relational"), "letters")
    pool = ExamplePool(in_format(builtin("relational", split="train"), "letters"), 2, 0)
    sample = WithContext(asked, "Be brief.", pool, multiturn=True).sample(0, 16)
    system, first, answer, second, _, question = sample.messages
    assert system == Message("system", ("Be brief.",))
    assert isinstance(first.content[0], Image.Image)
    assert str(first.content[1]).endswith("Answer with the letter of the right option.")
    assert answer.role == "assistant"
    assert answer.content in (("A",), ("B",), ("C",), ("D",))
    assert second.role == "user"
    assert question.content == (*sample.images, sample.prompt)


def test_in_one_message_the_examples_stand_before_the_question() -> None:
    pool = ExamplePool(builtin("coarse", split="train"), 2, 0)
    sample = WithContext(builtin("coarse"), "", pool, multiturn=False).sample(0, 16)
    (message,) = sample.messages
    one, other = sample.examples
    assert message.content == (
        *one.images, f"{one.prompt} {one.target}\n\n", *other.images, f"{other.prompt} {other.target}\n\n",
        *sample.images, sample.prompt,
    )  # fmt: skip


def test_repeats_of_a_question_have_its_examples_and_its_cluster() -> None:
    pool = ExamplePool(builtin("coarse", split="train"), 2, 0)
    task = Repeated(WithContext(builtin("coarse"), "", pool, multiturn=True), 3)
    three = [task.sample(3 + i, 16) for i in range(3)]
    assert [sample.repeat for sample in three] == [0, 1, 2]
    assert len({sample.id for sample in three}) == 3
    assert len({sample.cluster for sample in three}) == 1
    assert len({tuple(example.id for example in sample.examples) for sample in three}) == 1
    assert len(task) == 3 * 2000


def own_task(folder: Path, test: str, train: str | None) -> Path:
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (8, 8), colour).save(folder / f"{colour}.png")
    rows = {"test.jsonl": test, "train.jsonl": train or ""}
    for name, colours in rows.items():
        lines = [f'{{"image": "{c}.png", "prompt": "Which colour?", "target": "{c}"}}' for c in colours.split()]
        (folder / name).write_text("\n".join(lines))
    more = ", train: train.jsonl" if train is not None else ""
    (folder / "mine.yaml").write_text(f"task: mine\ndata: {{path: test.jsonl{more}}}")
    return folder / "mine.yaml"


def test_own_data_takes_examples_from_a_file_of_further_rows(tmp_path: Path) -> None:
    path = own_task(tmp_path, "red blue", "red green blue")
    pool = ExamplePool(load_task(path, split="train"), 2, 0)
    for index, colour in enumerate(("red", "blue")):
        examples = pool.draw(load_task(path).sample(index), None)
        assert colour not in {example.target for example in examples}, "the same image is the same scene"


def test_too_few_examples_fail_the_sample_or_the_task(tmp_path: Path) -> None:
    path = own_task(tmp_path, "red", "red green")
    with pytest.raises(SampleError, match="only 1 of 2 few-shot examples show another scene"):
        ExamplePool(load_task(path, split="train"), 2, 0).draw(load_task(path).sample(0), None)
    with pytest.raises(TaskError, match="has 2 samples to draw 3 few-shot examples from"):
        ExamplePool(load_task(path, split="train"), 3, 0)


def test_own_data_without_further_rows_has_no_split_to_choose(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="has no split to choose"):
        load_task(own_task(tmp_path, "red", None), split="train")


def test_messages_of_a_bare_sample_are_its_question() -> None:
    image = Image.new("RGB", (2, 2))
    assert Sample("s", 0, (image,), "Which?", "a").messages == (Message("user", (image, "Which?")),)
