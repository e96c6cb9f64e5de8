"""What training asks is true, and where it says objects are, they are."""

from __future__ import annotations

import numpy as np
import pytest

from vtbench.adapter import IGNORE_INDEX
from vtbench.registry import Registry
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings
from vtbench.scenes.splits import split_of
from vtbench.types import Sample
from vtbench_training.pretrain.curriculum import Curriculum
from vtbench_training.pretrain.pipeline import question_templates
from vtbench_training.pretrain.scene_stream import SceneStream
from vtbench_training.pretrain.vision_stage import LABEL_CLASSES, dense_labels

MIX = {"coarse": 1, "attribute": 1, "relational": 2, "scene_graph": 1}


def test_only_train_scenes_are_used() -> None:
    scenes = SceneStream(MIX, seed=3)
    assert {split_of(scenes.scene(number)) for number in range(80)} == {"train"}


def test_every_answer_is_what_the_oracle_says() -> None:
    scenes, curriculum = SceneStream(MIX, seed=3), Curriculum(question_templates(), RelationSettings(), SceneSettings())
    oracle = Registry().adapter("oracle", {})
    asked = 0
    for number in range(60):
        scene = scenes.scene(number)
        for text in curriculum.questions(scene, HashRng("test", number), 6, 50):
            sample = Sample("x", 0, (), text.prompt, text.answer, scene=scene)
            (said,) = oracle.generate([sample], 99)
            objects, _, relations = text.answer.partition(" | ")
            seen, _, told = said.text.partition(" | ")
            assert seen == objects, text
            # The oracle has a word for every pair, the target only for those where one is true.
            assert set(relations.split(" ; ")) - {""} <= set(told.split(" ; ")), text
            asked += 1
    assert asked > 200


def test_named_objects_stand_where_it_says() -> None:
    scenes, curriculum = SceneStream(MIX, seed=4), Curriculum(question_templates(), RelationSettings(), SceneSettings())
    for number in range(30):
        scene = scenes.scene(number)
        for text in curriculum.questions(scene, HashRng("test", number), 6, 0):
            for mention in text.mentions:
                word = text.prompt[: mention.end].split()[-1]
                near = [t for t in scene.objects if abs(2 * t.cx / CANVAS - 1 - mention.x) < 1e-9]
                assert word in {t.shape for t in near}


def test_no_question_is_asked_twice_of_one_image_in_the_same_words() -> None:
    scenes, curriculum = SceneStream(MIX, seed=5), Curriculum(question_templates(), RelationSettings(), SceneSettings())
    for number in range(30):
        scene = scenes.scene(number)
        questions = curriculum.questions(scene, HashRng("test", number), 8, 50)
        # "in front of" is offered twice, so that this rare kind is asked often enough.
        plain = [q.prompt for q in questions if not any(w in q.prompt for w in ("front", "cover", "nearer"))]
        assert len(set(plain)) == len(plain)


@pytest.mark.parametrize("grid", [4, 8])
def test_dense_labels_agree_with_the_scene(grid: int) -> None:
    scenes, spec = SceneStream(MIX, seed=6), SceneSettings()
    for number in range(20):
        scene = scenes.scene(number)
        classes, centres = dense_labels(scene, spec, grid)
        assert classes.shape == (len(LABEL_CLASSES), grid * grid)
        seen = classes[0] == 1
        assert seen.any()
        assert not np.isnan(centres[:, seen]).any()
        assert np.isnan(centres[:, ~seen]).all()
        assert (classes[1:6, ~seen] == IGNORE_INDEX).all()
        present = {(spec.shapes.index(t.shape), list(spec.colours).index(t.colour)) for t in scene.objects}
        assert set(zip(classes[1, seen].tolist(), classes[2, seen].tolist(), strict=True)) <= present
