"""The probe task: the items of four families on varied backgrounds, which change nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from vtbench.scenes.backgrounds import varied_kind
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import builtin_source, load_task

FILES = find_task_files()
FAMILIES = ("coarse", "attribute", "relational", "scene_graph")


@pytest.mark.parametrize("split", ["probe", "train"])
def test_only_the_background_differs_from_the_items_of_the_families(split: str) -> None:
    task = load_task(FILES["probe"], split=split)
    sources = [builtin_source(name, split=split) for name in FAMILIES]
    kinds = set()
    for index in range(96):
        sample, item = task.sample(index, 16), sources[index % 4].item(index // 4)
        assert (sample.prompt, sample.target, sample.cluster) == (item.prompt, item.question.target, item.cluster)
        kinds.add(sample.scene.background.kind)
        plain = replace(sample.scene.background, kind="plain")
        assert replace(sample.scene, background=plain).hash == item.scene.hash
    assert kinds == {"plain", "gradient", "waves", "cells"}


def test_a_third_is_flat_a_third_gradients_a_third_textured() -> None:
    counts = Counter(varied_kind(seed) for seed in range(6000))
    assert counts["plain"] == pytest.approx(2000, abs=120)
    assert counts["gradient"] == pytest.approx(2000, abs=120)
    assert counts["waves"] == pytest.approx(1000, abs=90)
    assert counts["cells"] == pytest.approx(1000, abs=90)


def test_both_images_of_a_minimal_pair_have_the_same_background() -> None:
    task = load_task(FILES["probe"])
    grounds = defaultdict(set)
    for index in range(2, 82, 4):
        sample = task.sample(index, 16)
        grounds[sample.cluster].add(sample.scene.background)
    assert len(grounds) == 10
    assert all(len(found) == 1 for found in grounds.values())


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(f"task: {name}\n{text}\n")
    return path


def test_a_mix_hands_the_scene_keys_it_has_to_its_tasks_and_to_those_of_its_mixes(tmp_path: Path) -> None:
    write(tmp_path, "big", "family: coarse\nscene: {sizes: {big: 0.4}, background: waves}")
    write(tmp_path, "inner", "mix: [big]\nscene: {textures: [dotted]}")
    outer = load_task(write(tmp_path, "outer", "mix: [inner, big]\nscene: {background: cells}"))
    first, second = (outer.sample(index, 16).scene for index in range(2))
    assert first.background.kind == second.background.kind == "cells"
    assert first.objects[0].size == second.objects[0].size == "big"
    assert first.objects[0].texture == "dotted"
    assert {outer.sample(index, 16).scene.objects[0].texture for index in range(1, 20, 2)} > {"dotted"}
    (inner, _) = outer.config()["parts"]
    assert inner["parts"][0]["scene"]["background"] == "cells"
