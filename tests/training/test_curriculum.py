"""What training asks is true, and where it says objects are, they are."""

from __future__ import annotations

import numpy as np
import pytest

from vtbench.registry import Registry
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings
from vtbench.scenes.splits import split_of
from vtbench.types import Sample
from vtbench_training.curriculum import Curriculum
from vtbench_training.labels import DENSE, IGNORE, dense_labels
from vtbench_training.pretrain import all_wording
from vtbench_training.scenery import Scenery

MIX = {"coarse": 1, "attribute": 1, "relational": 2, "scene_graph": 1}


def test_only_train_scenes_are_used() -> None:
    scenery = Scenery(MIX, seed=3)
    assert {split_of(scenery.scene(number)) for number in range(80)} == {"train"}


def test_every_answer_is_what_the_oracle_says() -> None:
    scenery, curriculum = Scenery(MIX, seed=3), Curriculum(all_wording(), RelationSettings(), SceneSettings())
    oracle = Registry().adapter("oracle", {})
    asked = 0
    for number in range(60):
        scene = scenery.scene(number)
        for worded in curriculum.questions(scene, HashRng("test", number), 6, 50):
            sample = Sample("x", 0, (), worded.prompt, worded.answer, scene=scene)
            (said,) = oracle.generate([sample], 99)
            objects, _, relations = worded.answer.partition(" | ")
            seen, _, told = said.text.partition(" | ")
            assert seen == objects, worded
            # The oracle has a word for every pair, the target only for those where one is true.
            assert set(relations.split(" ; ")) - {""} <= set(told.split(" ; ")), worded
            asked += 1
    assert asked > 200


def test_named_objects_stand_where_it_says() -> None:
    scenery, curriculum = Scenery(MIX, seed=4), Curriculum(all_wording(), RelationSettings(), SceneSettings())
    for number in range(30):
        scene = scenery.scene(number)
        for worded in curriculum.questions(scene, HashRng("test", number), 6, 0):
            for named in worded.named:
                word = worded.prompt[: named.end].split()[-1]
                near = [t for t in scene.objects if abs(2 * t.cx / CANVAS - 1 - named.x) < 1e-9]
                assert word in {t.shape for t in near}


def test_no_question_is_asked_twice_of_one_picture_in_the_same_words() -> None:
    scenery, curriculum = Scenery(MIX, seed=5), Curriculum(all_wording(), RelationSettings(), SceneSettings())
    for number in range(30):
        scene = scenery.scene(number)
        questions = curriculum.questions(scene, HashRng("test", number), 8, 50)
        # "in front of" is offered twice, so that this rare kind is asked often enough.
        plain = [q.prompt for q in questions if not any(w in q.prompt for w in ("front", "cover", "nearer"))]
        assert len(set(plain)) == len(plain)


@pytest.mark.parametrize("grid", [4, 8])
def test_dense_labels_agree_with_the_scene(grid: int) -> None:
    scenery, spec = Scenery(MIX, seed=6), SceneSettings()
    for number in range(20):
        scene = scenery.scene(number)
        classes, centres = dense_labels(scene, spec, grid)
        assert classes.shape == (len(DENSE), grid * grid)
        seen = classes[0] == 1
        assert seen.any()
        assert not np.isnan(centres[:, seen]).any()
        assert np.isnan(centres[:, ~seen]).all()
        assert (classes[1:6, ~seen] == IGNORE).all()
        present = {(spec.shapes.index(t.shape), list(spec.colours).index(t.colour)) for t in scene.objects}
        assert set(zip(classes[1, seen].tolist(), classes[2, seen].tolist(), strict=True)) <= present
