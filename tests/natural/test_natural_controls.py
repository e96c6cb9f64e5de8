"""Controls on the natural families: the oracle is perfect, and what does not see is at chance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

import vtbench_controls
from vtbench.adapter import Adapter
from vtbench.scoring.answers import exact_match
from vtbench.scoring.graph import parse_graph
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample

CONTROLS: dict[str, Callable[..., Adapter]] = vtbench_controls.vtbench_adapters()


@cache
def samples_of(task: str, n: int, kinds: str = "") -> list[Sample]:
    """Return samples without their images: symbolic controls read scenes."""
    made = load_task(find_task_files()[task], **({"kinds": {kinds: 1}} if kinds else {}))
    items = [made.source.item(i) for i in range(n)]  # type: ignore[attr-defined]
    return [
        Sample(
            f"{task}/test/0/{i}", i, (), item.prompt, item.question.target, item.question.choices,
            item.question.kind, item.cluster, item.scene.hash, item.scene, item.meta,
        )
        for i, item in enumerate(items)
    ]  # fmt: skip


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
    samples = samples_of("natural_relational", 400)
    chance = sum(1 / len(sample.choices) for sample in samples) / len(samples)
    assert accuracy(control, samples) == pytest.approx(chance, abs=0.06)


@pytest.mark.parametrize("control", ["blind", "colour_prior"])
def test_usual_colours_say_nothing_about_these(control: str) -> None:
    assert accuracy(control, samples_of("natural_attribute", 800, "colour")) == pytest.approx(1 / 8, abs=0.04)


def test_the_colour_prior_says_what_an_object_usually_is() -> None:
    sample = next(s for s in samples_of("natural_attribute", 400) if s.prompt == "What colour is the banana?")
    assert CONTROLS["colour_prior"]().generate([sample], 8)[0].text == "yellow"
