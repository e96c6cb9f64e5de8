"""Items: the same everywhere, balanced by the index, and no scene in two splits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.scenes.builtin import builtin_families
from vtbench.scenes.questions import describe
from vtbench.scenes.relations import MASK_SIZE, all_relations, areas, direction, margin, overlap
from vtbench.scenes.render import id_mask, silhouette
from vtbench.scenes.scene import Scene
from vtbench.scenes.splits import SPLITS, held_out, quantised, split_of
from vtbench.task.loading import builtin_source, builtin_spec

FAMILIES = ("coarse", "attribute", "relational", "scene_graph", "precise_offset", "occlusion")
GOLDEN = Path(__file__).parent / "golden_hashes.json"


@pytest.mark.parametrize("family", FAMILIES)
def test_scene_hashes_are_the_golden_ones(family: str) -> None:
    source = builtin_source(family)
    assert [source.item(i).scene.hash[:16] for i in range(50)] == json.loads(GOLDEN.read_text())[family]


@pytest.mark.parametrize("family", FAMILIES)
@given(order=st.permutations(list(range(8))))
@settings(max_examples=5, deadline=None)
def test_order_does_not_matter(family: str, order: list[int]) -> None:
    source, fresh = builtin_source(family, split="val"), builtin_source(family, split="val")
    items = {i: source.item(i) for i in order}
    assert all(items[i] == fresh.item(i) for i in sorted(order))


def test_another_process_with_another_hash_seed_makes_the_same_items() -> None:
    code = (
        "from vtbench.task.loading import builtin_source as s;"
        f"print([[s(f).item(i).scene.hash[:8] + s(f).item(i).prompt for i in (7, 3)] for f in {FAMILIES!r}])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    here = [
        [builtin_source(f).item(i).scene.hash[:8] + builtin_source(f).item(i).prompt for i in (7, 3)] for f in FAMILIES
    ]
    assert outputs == {f"{here}\n"}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_splits_share_a_scene(family: str) -> None:
    keys = {s: {quantised(builtin_source(family, split=s).item(i).scene) for i in range(40)} for s in SPLITS}
    for a, b in product(("train", "val", "test", "probe", "comp"), repeat=2):
        assert a == b or not keys[a] & keys[b]
    assert keys["noise"] == keys["test"] == keys["background"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_scene_is_owned_by_its_split(family: str) -> None:
    owner = {"comp": "test", "noise": "test", "background": "test"}
    for split in SPLITS:
        source = builtin_source(family, split=split)
        assert {split_of(source.item(i).scene) for i in range(12)} == {owner.get(split, split)}


@pytest.mark.parametrize("family", FAMILIES)
def test_comp_pairs_are_asked_about_in_comp_alone(family: str) -> None:
    spec = builtin_spec(family).scene
    for split in ("train", "test", "noise"):
        source = builtin_source(family, split=split)
        objects = [t for i in range(30) for t in source.item(i).scene.objects]
        assert not any(held_out(spec, t.colour, t.shape) for t in objects)
    source = builtin_source(family, split="comp")
    for i in range(30):
        assert sum(held_out(spec, t.colour, t.shape) for t in source.item(i).scene.objects) == 1


def test_answers_are_flat_given_what_is_asked() -> None:
    coarse = builtin_source("coarse")
    assert set(Counter(coarse.item(i).question.target for i in range(800)).values()) == {100}
    attribute = builtin_source("attribute")
    by_kind: dict[str, Counter[str]] = {}
    for i in range(800):
        question = attribute.item(i).question
        by_kind.setdefault(question.kind, Counter())[question.target] += 1
    assert {kind: set(c.values()) for kind, c in by_kind.items()} == {
        "colour": {40},
        "texture": {80},
        "background": {20},
    }
    graph = builtin_source("scene_graph")
    assert set(Counter(len(graph.item(i).scene.objects) for i in range(400)).values()) == {100}


@pytest.mark.parametrize("family", ["relational", "precise_offset"])
def test_minimal_pairs_ask_the_same_and_answer_the_opposite(family: str) -> None:
    source = builtin_source(family)
    opposite = {"yes": "no", "left": "right", "above": "below"}
    opposite |= {b: a for a, b in opposite.items()}
    for i in range(0, 120, 2):
        a, b = source.item(i), source.item(i + 1)
        assert (a.prompt, a.cluster) == (b.prompt, b.cluster)
        assert a.question.target == opposite[b.question.target]

        def looks(item):
            return sorted((t.shape, t.colour, t.texture, t.size, t.rgb) for t in item.scene.objects)

        assert looks(a) == looks(b)


def test_relational_targets_are_true_of_the_scene() -> None:
    task, source = builtin_spec("relational"), builtin_source("relational")
    for i in range(240):
        item = source.item(i)
        names = {f"{t.colour} {t.shape}": t.id for t in item.scene.objects}
        assert len(names) == len(item.scene.objects), "a referent is not unique"
        a, b = names[item.question.slots["a"]], names[item.question.slots["b"]]
        holds = all_relations(item.scene, task.relations)[a, b]
        if item.question.kind == "where":
            assert holds[item.question.target] is True
        else:
            assert holds[item.question.kind] is (item.question.target == "yes")
        assert item.question.target not in item.prompt.lower().rstrip("?.").split() or item.question.kind != "where"


def test_in_front_of_needs_an_overlap_that_leaves_both_recognisable() -> None:
    task, source = builtin_spec("relational", kinds={"front": 1}), builtin_source("relational", kinds={"front": 1})
    for i in range(20):
        scene = source.item(i).scene
        a, b = scene.objects[:2]
        assert overlap(a, b) >= task.relations.overlap
        first, second, shared = areas(a, b)
        for area in (first, second):
            assert (area - shared) / area >= task.relations.visible
            assert 4 * (area - shared) >= task.relations.visible_pixels
        assert a.colour != b.colour


def test_occluded_items_have_an_unoccluded_twin() -> None:
    source = builtin_source("occlusion")
    for i in range(0, 20, 2):
        hidden, twin = source.item(i), source.item(i + 1)
        assert hidden.prompt == twin.prompt
        assert hidden.question.target == twin.question.target
        assert 0.3 <= hidden.meta["visible"] < 1.0 == twin.meta["visible"]
        assert hidden.meta["visible"] == round(visible_fraction(hidden.scene, 0), 3)
        assert visible_fraction(twin.scene, 0) == 1.0


def visible_fraction(scene: Scene, number: int) -> float:
    obj = scene.objects[number]
    whole = np.count_nonzero(silhouette(obj, MASK_SIZE).mask)
    return int((id_mask(scene, MASK_SIZE) == obj.id).sum()) / int(whole)


def test_offsets_are_exact_and_go_both_ways() -> None:
    source = builtin_source("precise_offset")
    seen = Counter()
    for i in range(240):
        item = source.item(i)
        a, b = item.scene.objects[:2]
        exact = (a.cx - b.cx if item.meta["axis"] == "x" else a.cy - b.cy) / (224 * 256) * 100
        assert exact == pytest.approx(item.meta["offset_percent"], abs=0.002)
        assert (item.question.target == item.meta["positive"]) is (exact > 0)
        seen[item.meta["offset_percent"]] += 1
    assert set(seen.values()) == {20}


def test_the_graph_names_every_object_and_every_true_word() -> None:
    task, source = builtin_spec("scene_graph"), builtin_source("scene_graph")
    for i in range(60):
        item = source.item(i)
        text = item.question.target
        objects, _, relations = text.partition(" | ")
        assert objects.count(";") == len(item.scene.objects) - 1
        words = relations.count(";") + 1 if relations else 0
        n = len(item.scene.objects)
        assert words + len(item.meta["indeterminate"]) == n * (n - 1) // 2
        assert describe(item.scene, task.relations).text == text


def test_clusters_have_as_many_members_as_the_family_says() -> None:
    for family, factory in builtin_families().items():
        members = factory().members
        source = builtin_source(family)
        assert Counter(source.item(i).cluster for i in range(3 * members)).most_common() == [
            (f"{family}/test/0/{k}", members) for k in range(3)
        ]


def test_direction_agrees_with_the_predicates() -> None:
    task, source = builtin_spec("scene_graph"), builtin_source("scene_graph")
    for i in range(40):
        scene = source.item(i).scene
        for (a, b), holds in all_relations(scene, task.relations).items():
            true = [word for word in ("left", "right", "above", "below") if holds[word]]
            assert [direction(scene.objects[a], scene.objects[b], task.relations)] == (true or [None])
            for word in ("left", "right", "above", "below"):
                clears = margin(scene.objects[a], scene.objects[b], word, task.relations) >= 0
                assert clears is (holds[word] is True)
