"""Task files that extend others, and questions that a family brings."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from vtbench.errors import TaskError
from vtbench.task.catalog import find_task_files, summary
from vtbench.task.loading import load_task
from vtbench.task.schema import json_schema, read_task

FILES = {name: path for name, path in find_task_files().items() if not summary(path)["needs"]}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(f"task: {name}\n{text}")
    return path


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_task_that_only_includes_another_has_its_samples(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "mine", f"include: {name}\n")
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema())
    ours, theirs = load_task(path), load_task(FILES[name])
    assert {**ours.config(), "task": name, "groups": theirs.config()["groups"]} == theirs.config()
    assert len(ours) == len(theirs)
    for index in (0, 5):
        mine, other = ours.sample(index, 32), theirs.sample(index, 32)
        assert (mine.prompt, mine.target, mine.images[0].tobytes()) == (
            other.prompt,
            other.target,
            other.images[0].tobytes(),
        )


def test_keys_of_the_file_stand_before_those_that_it_includes(tmp_path: Path) -> None:
    text = "include: relational\nitems: 50\nscene: {max_objects: 3}\nkinds: {left: 1}\n"
    text += "questions: {left: ['{a} or {b}?']}\n"
    spec, base = read_task(write(tmp_path, "mine", text)), read_task(FILES["relational"])
    assert (spec.items, spec.scene.max_objects, spec.scene.min_objects) == (50, 3, base.scene.min_objects)
    assert spec.kinds == {"left": 1}, "weights belong together"
    assert spec.questions["left"] == ("{a} or {b}?",)
    assert spec.questions["right"] == base.questions["right"]
    assert spec.relations == base.relations
    assert spec.groups == (), "a variant of `relational` is not one of `all`"
    assert summary(tmp_path / "mine.yaml")["family"] == "relational"
    assert summary(tmp_path / "mine.yaml")["items"] == 50
    assert summary(tmp_path / "mine.yaml")["groups"] == []


def test_an_included_file_may_include_another_and_stand_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "first", "include: coarse\nitems: 9\nseed: 3\n")
    path = write(tmp_path, "second", "include: first\nseed: 4\n")
    assert (read_task(path).items, read_task(path).seed, read_task(path).family) == (9, 4, "coarse")
    assert summary(path)["items"] == 9


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("include: relatonal\n", "there is no task 'relatonal', built-in or beside it. Did you mean 'relational'"),
        ("include: [coarse]\n", "include: must be the name of one task, but is list"),
        ("include: mine\n", "mine -> mine include each other"),
        ("include: other\n", "include each other"),
        ("include: coarse\nitmes: 3\n", "line 3: itmes: unknown key"),
        ("include: coarse\nitems: 0\n", "line 3: items"),
    ],
)
def test_a_wrong_include_is_one_line(text: str, wanted: str, tmp_path: Path) -> None:
    write(tmp_path, "other", "include: mine\n")
    path = write(tmp_path, "mine", text)
    with pytest.raises(TaskError, match=wanted) as caught:
        load_task(path)
    assert "\n" not in str(caught.value)
    summary(path)


@pytest.mark.parametrize("family", ["coarse", "attribute", "relational", "scene_graph", "precise_offset", "occlusion"])
def test_a_variant_of_a_family_needs_no_questions(family: str, tmp_path: Path) -> None:
    path = write(tmp_path, "mine", f"family: {family}\nscene: {{min_objects: 2, max_objects: 2}}\n")
    assert load_task(path).sample(0, 32).prompt
    kinds = read_task(path).weights
    assert {kind: read_task(path).questions[kind] for kind in kinds} == {
        kind: read_task(FILES[family]).questions[kind] for kind in kinds
    }


def test_a_variants_own_questions_stay(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", "family: relational\nkinds: {left: 1, where: 1}\nquestions: {left: ['{a}, {b}?']}\n")
    found = read_task(path).questions
    assert found["left"] == ("{a}, {b}?",)
    assert found["where"] == read_task(FILES["relational"]).questions["where"]
    assert set(found) == {"left", "where"}, "questions that are never asked are no part of the digest"
