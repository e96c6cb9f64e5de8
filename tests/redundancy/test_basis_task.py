"""Which images a basis is fitted on: other ones than are scored, whatever the task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.metric import FittedElsewhere
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.prepared import Limited
from vtbench.types import Task
from vtbench_redundancy.metrics.basis_task import BASIS_SEED, basis_name, basis_task
from vtbench_redundancy.metrics.token_metrics import CarriersMetric, RedundancyMetric
from vtbench_redundancy.protocol import PROTOCOLS, Protocol


@pytest.mark.parametrize("split", ["probe", "train"])
def test_scenes_get_other_scenes_of_the_train_split(split: str) -> None:
    """Also where the run scores the train split itself."""
    scored = load_task(find_task_files()["probe"], split=split, items=40)
    basis = basis_task(scored, Protocol(basis_images=60))
    assert (basis.name, basis.split, len(basis)) == ("probe", "train", 60)
    assert basis.config()["seed"] == BASIS_SEED
    assert basis_name(basis, scored) == "probe, split train"
    first, other = ({task.sample(i, 32).scene_hash for i in range(len(task))} for task in (scored, basis))
    assert not first & other


def test_every_task_of_scenes_has_the_same_basis() -> None:
    tasks = [load_task(find_task_files()[name], items=2000) for name in ("coarse", "relational")]
    metrics = RedundancyMetric(), CarriersMetric()
    assert all(isinstance(metric, FittedElsewhere) for metric in metrics)
    assert len({id(metric.fit_task(task)) for metric in metrics for task in tasks}) == 1
    assert len(metrics[0].fit_task(tasks[0])) == 1000


def mix(directory: Path, *parts: str) -> Task:
    names = []
    for number, settings in enumerate(parts):
        (directory / f"part{number}.yaml").write_text(f"task: part{number}\n{settings}\n")
        names.append(f"part{number}")
    (directory / "mixed.yaml").write_text(f"task: mixed\nmix: [{', '.join(names)}]\nitems: 30\n")
    return load_task(directory / "mixed.yaml")


def test_a_mix_of_scenes_of_one_size_has_a_basis_of_that_size(tmp_path: Path) -> None:
    basis = basis_task(mix(tmp_path, *["family: coarse\nimage_size: 96"] * 2), Protocol())
    assert (basis.name, len(basis), basis.sample(0).images[0].size) == ("probe", 120, (96, 96))


def test_a_mix_with_own_images_gives_its_first_third(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"image": "0.png", "prompt": "?", "target": "yes"}) + "\n")
    task = mix(tmp_path, "family: coarse\nimage_size: 96", "data: {path: rows.jsonl}")
    basis = basis_task(task, Protocol())
    assert [basis.sample(i).id for i in range(len(basis))] == [task.sample(i).id for i in range(10)]
    assert basis_name(basis, task) == "first samples"


def test_a_mix_of_scenes_of_several_sizes_has_its_own_train_split(tmp_path: Path) -> None:
    task = mix(tmp_path, "family: coarse\nimage_size: 96", "family: relational\nimage_size: 64")
    basis = basis_task(task, Protocol())
    assert [basis.sample(i).images[0].size for i in range(4)] == [(96, 96), (64, 64)] * 2
    assert (basis.name, basis.split, len(basis)) == ("mixed", "train", 120)
    assert not scenes(basis) & scenes(task)


OWN_COLOURS = "{red: [214, 34, 40], green: [36, 150, 60], blue: [44, 84, 214], white: [250, 250, 250]}"


def scenes(task: Task) -> set[str]:
    return {task.sample(i, 16).scene_hash for i in range(len(task))}


@pytest.mark.parametrize("scene", [f"colours: {OWN_COLOURS}", "sizes: {tiny: 0.1, huge: 0.4}"])
def test_objects_that_the_probe_set_does_not_show_have_a_basis_of_their_own(tmp_path: Path, scene: str) -> None:
    (tmp_path / "own.yaml").write_text(f"task: own\nfamily: coarse\nitems: 30\nscene: {{{scene}}}\n")
    task = load_task(tmp_path / "own.yaml")
    basis = basis_task(task, Protocol())
    assert (basis.name, basis.split, len(basis)) == ("own", "train", 120)
    assert {basis.sample(i, 16).scene.objects[0].colour for i in range(40)} <= {*task.spec.scene.colours}
    assert not scenes(basis) & scenes(task)
    assert basis_name(basis, task) == "own, split train"
    assert basis_task(task, Protocol()) is basis


@pytest.mark.parametrize("split", ["test", "train"])
def test_cutouts_on_photographs_have_the_train_split_of_their_own_task(split: str) -> None:
    scored = Limited(load_task(find_task_files()["natural_coarse"], split=split), 20)
    basis = basis_task(scored, Protocol())
    assert (basis.name, basis.split, len(basis), basis.config()["seed"]) == ("natural_coarse", "train", 80, BASIS_SEED)
    shown = basis.sample(0, 32).scene
    assert shown.background.photograph
    assert all(thing.cutout for thing in shown.objects)
    assert not scenes(basis) & scenes(scored)
    assert {basis.sample(i, 16).id for i in range(80)}.isdisjoint(scored.sample(i, 16).id for i in range(20))


@pytest.mark.parametrize("key", ["cast: natural/cast", "backgrounds: natural/backgrounds"])
def test_either_of_them_is_reason_enough(tmp_path: Path, key: str) -> None:
    name, value = key.split(": ")
    directory = find_task_files()["natural_coarse"].parent / value
    (tmp_path / "half.yaml").write_text(f"task: half\nfamily: coarse\nitems: 20\nscene: {{{name}: {directory}}}\n")
    assert basis_task(load_task(tmp_path / "half.yaml"), Protocol()).name == "half"


def test_a_small_run_fits_on_few_images() -> None:
    assert len(basis_task(load_task(find_task_files()["coarse"], items=10), Protocol())) == 40


def test_own_images_give_their_first_third(tmp_path) -> None:
    rows = []
    for i in range(9):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(json.dumps({"image": f"{i}.png", "prompt": "?", "target": "yes"}))
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    (tmp_path / "mine.yaml").write_text("task: mine\ndata: {path: rows.jsonl}\n")
    task = load_task(tmp_path / "mine.yaml")
    basis = basis_task(task, Protocol())
    assert [basis.sample(i).id for i in range(len(basis))] == [task.sample(i).id for i in range(3)]
    assert basis_task(task, Protocol()) is basis
    assert basis_task(task, PROTOCOLS["rs-v1"]) is task
