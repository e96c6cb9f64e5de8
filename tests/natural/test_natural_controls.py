"""Controls on the natural families: the oracle is perfect, and what does not see is at chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pytest

import vtbench_controls
from vtbench.adapter import Adapter
from vtbench.errors import SampleError, VtbenchError
from vtbench.scoring.answers import exact_match
from vtbench.scoring.graph import parse_graph
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample
from vtbench_controls.question_statistic import QuestionStatistic

CONTROLS: dict[str, Callable[..., Adapter]] = vtbench_controls.vtbench_adapters()


@cache
def samples_of(task: str, n: int, kinds: str = "") -> list[Sample]:
    """Return samples without their images: symbolic controls read scenes."""
    made = load_task(find_task_files()[task], **({"kinds": {kinds: 1}} if kinds else {}))
    return [made.draft(i) for i in range(n)]  # type: ignore[attr-defined]


def bound(samples: list[Sample]) -> float:
    """Return 3.5 standard errors of the accuracy of a guess, by the number of scenes or pairs that there are."""
    chance = chance_of(samples)
    return 3.5 * math.sqrt(chance * (1 - chance) / len({sample.cluster for sample in samples}))


def chance_of(samples: list[Sample]) -> float:
    return sum(1 / len(sample.choices) for sample in samples) / len(samples)


def accuracy(control: str, samples: list[Sample]) -> float:
    outputs = CONTROLS[control]().generate(samples, 72)
    right = [exact_match(output.text, sample)[1] for output, sample in zip(outputs, samples, strict=True)]
    return sum(right) / len(right)


@pytest.mark.parametrize("task", ["natural_coarse", "natural_attribute", "natural_relational"])
def test_the_oracle_is_perfect(task: str) -> None:
    assert accuracy("oracle", samples_of(task, 120)) == 1.0


def test_the_oracle_writes_the_graph_of_cut_outs() -> None:
    samples = samples_of("natural_scene_graph", 60)
    for sample, output in zip(samples, CONTROLS["oracle"]().generate(samples, 72), strict=True):
        said, true = parse_graph(output.text), parse_graph(sample.target)
        assert said.well_formed
        assert said.objects == true.objects
        assert true.relations <= said.relations


@pytest.mark.parametrize("control", ["blind", "bag_of_objects", "majority"])
def test_without_places_relations_are_at_chance(control: str) -> None:
    samples = samples_of("natural_relational", 300)
    assert accuracy(control, samples) == pytest.approx(chance_of(samples), abs=bound(samples))


@pytest.mark.parametrize("control", ["blind", "colour_prior"])
def test_usual_colours_say_nothing_about_these(control: str) -> None:
    samples = samples_of("natural_attribute", 400, "colour")
    assert accuracy(control, samples) == pytest.approx(1 / 8, abs=bound(samples))


@pytest.mark.parametrize("task", ["natural_coarse", "natural_attribute", "natural_relational"])
def test_the_words_of_questions_say_nothing_of_answers(task: str) -> None:
    """Learnt from as many other items, of the split `train`."""
    samples = samples_of(task, 200)
    learnt = CONTROLS["question_words"](train=200).generate(samples, 8)
    right = [exact_match(output.text, sample)[1] for output, sample in zip(learnt, samples, strict=True)]
    assert sum(right) / len(right) == pytest.approx(chance_of(samples), abs=bound(samples))


def test_words_that_do_say_it_are_learnt() -> None:
    """So that chance above means something: an answer that a word gives away in nine questions of ten is found."""
    colours = ("red", "green", "blue")
    things = ("apple", "pear", "plum")
    train = [
        Sample(str(i), i, (), f"What colour is the {things[i % 3]}?", colours[(i + (i % 10 == 0)) % 3], colours)
        for i in range(90)
    ]
    statistic = QuestionStatistic(train)
    for thing, colour in zip(things, colours, strict=True):
        assert statistic.answer(Sample("q", 0, (), f"Name the colour of the {thing}.", "", colours)) == colour
    assert statistic.answer(Sample("q", 0, (), "What colour?", "", ("black", "white"))) is None


def test_an_open_question_gets_the_most_frequent_answer() -> None:
    said = [Sample(str(i), i, (), "Describe.", text, kind="graph") for i, text in enumerate("abb")]
    assert QuestionStatistic(said).answer(Sample("q", 3, (), "Describe the image.", "", kind="graph")) == "b"


def test_a_run_on_train_learns_from_other_scenes_of_train() -> None:
    task = load_task(find_task_files()["natural_relational"], split="train")
    sample = task.draft(0)  # type: ignore[attr-defined]
    control = CONTROLS["question_words"](train=4)
    with_seen = {task.draft(i).scene_hash for i in range(4)}  # type: ignore[attr-defined]
    control.generate([sample], 8)
    assert not with_seen & {one.scene_hash for one in control.training(sample)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("train", [0, -1, 1.5, True, "many"])
def test_it_needs_something_to_learn_from(train: object) -> None:
    with pytest.raises(VtbenchError, match="train must be a whole number of at least 1"):
        CONTROLS["question_words"](train=train)


def test_it_learns_from_tasks_of_scenes_alone() -> None:
    with pytest.raises(SampleError, match="needs a task that renders its own images"):
        CONTROLS["question_words"]().generate([Sample("mine/3", 3, (), "?", "yes", ("yes", "no"))], 8)


def test_the_colour_prior_says_what_an_object_usually_is() -> None:
    sample = next(s for s in samples_of("natural_attribute", 400) if s.prompt == "What colour is the banana?")
    assert CONTROLS["colour_prior"]().generate([sample], 8)[0].text == "yellow"
