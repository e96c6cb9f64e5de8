"""Scene families as plugins: the built-in ones, and one that a stranger brings."""

from __future__ import annotations

import inspect
import pickle
import sys
from subprocess import run
from types import MappingProxyType

import pytest

from vtbench.errors import TaskError
from vtbench.scenes.builtin import builtin_families
from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilyFactory, FamilySettings, Member, create_family
from vtbench.scenes.items import ItemSource
from vtbench.scenes.placement import make_background, make_object, place_all
from vtbench.scenes.plugin import vtbench_scene_families
from vtbench.scenes.questions import SLOTS, Question
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings


class Counting(BaseSceneFamily):
    """How many objects are there?"""

    name = "counting"
    kinds = MappingProxyType({"count": 1})
    placeholders = MappingProxyType({"count": ()})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return 1, 2 or 3 objects."""
        count = 1 + number % 3
        colour = rng.choice(tuple(settings.scene.colours))
        pairs = rng.sample(settings.pairs(referent=False, background=colour), count)
        unplaced = [make_object(rng, settings.scene, settings.appearance(rng, pair), i) for i, pair in enumerate(pairs)]
        objects = place_all(rng, settings.scene, unplaced)
        if objects is None:
            return None
        scene = Scene(make_background(rng, settings.scene, colour), tuple(objects))
        return (Member(scene, Question("count", str(count), ("1", "2", "3"))),)


def settings_for(kinds: dict[str, int]) -> FamilySettings:
    return FamilySettings(SceneSettings(), RelationSettings(), kinds, (1.0,), comp=False)


def test_a_family_of_a_plugin_makes_items_as_the_built_in_ones_do() -> None:
    families: dict[str, FamilyFactory] = {**builtin_families(), "counting": Counting}
    family = create_family("counting", families)
    source = ItemSource(family, "test", 0, settings_for({"count": 1}), {"count": ["How many objects?"]})
    items = [source.item(i) for i in range(6)]
    assert [item.question.target for item in items] == ["1", "2", "3"] * 2
    assert items[4].cluster == "counting/test/0/4"
    assert items == [ItemSource(family, "test", 0, source.settings, source.paraphrases).item(i) for i in range(6)]


def test_an_unknown_family_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"no scene family 'occlusoin'\. Did you mean 'occlusion'"):
        create_family("occlusoin", builtin_families())


def test_the_built_in_families_follow_the_protocol() -> None:
    assert vtbench_scene_families() == builtin_families()
    for name, factory in builtin_families().items():
        family = factory()
        assert family.name == name
        assert family.members in (1, 2)
        assert all(weight > 0 for weight in family.kinds.values())
        assert set(family.kinds) <= {*SLOTS, *family.placeholders}
        assert inspect.getdoc(factory)
        pickle.dumps(family)


def test_naming_the_families_imports_none_of_them() -> None:
    code = (
        "import sys; from vtbench.scenes.builtin import builtin_families; builtin_families();"
        "print('vtbench.scenes.families.coarse' in sys.modules)"
    )
    result = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_kinds_take_turns_by_weight() -> None:
    settings = settings_for({"a": 2, "b": 1})
    assert settings.kind_order == ["a", "b", "a"]
    assert [settings.turn(i) for i in range(6)] == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1), ("a", 3)]
