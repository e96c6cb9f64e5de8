"""Captions are true, say which of their words only the image tells, and are in no family's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from string import Formatter

import pytest
import torch
from safetensors.torch import load_file

from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench.scenes.placement import Appearance, make_background, make_object
from vtbench.scenes.relations import direction
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS, Scene, SceneObject
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SIZES, TEXTURES, RelationSettings, SceneSettings
from vtbench_hf.checkpoint.published import save_published
from vtbench_training.pretrain.caption_scores import score_captions
from vtbench_training.pretrain.caption_stage import ROW_TOKENS, caption_texts
from vtbench_training.pretrain.captions import CUES, PROMPTS, Caption, caption
from vtbench_training.pretrain.packing import PackedStream, Packer
from vtbench_training.pretrain.pipeline import pretrain, question_templates
from vtbench_training.pretrain.recipe import RECIPES, InitialTower, Recipe, Stage
from vtbench_training.pretrain.scene_stream import SceneStream
from vtbench_training.small_models import random_model
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import train_tokenizer
from vtbench_training.training_loop import Schedule

MIX = {"coarse": 1, "attribute": 1, "relational": 1, "scene_graph": 2, "occlusion": 1}
SIDE_WORDS = {
    "left": ("left",),
    "right": ("right",),
    "above": ("above", "higher", "top"),
    "below": ("below", "lower", "bottom"),
}
DIRECTION = re.compile(
    r"(?:compared with|take) the ([\w ]+), (?:then )?the ([\w ]+?)(?: is|:) ([\w ]+)"
    r"|the ([\w ]+) and the ([\w ]+), the first ([\w ]+)"
)
WORDS = {"shape": SHAPES, "colour": tuple(COLOURS), "texture": TEXTURES, "size": tuple(SIZES)}


def many(count: int = 400, each: int = 5, directions: bool = False) -> Iterator[tuple[Scene, Caption]]:
    scenes = SceneStream(MIX, seed=7)
    for number in range(count):
        scene = scenes.scene(number)
        for seed in range(each):
            yield scene, caption(scene, seed, directions)


def scene_of(*looks: Appearance) -> Scene:
    draws, spec = HashRng("captions"), SceneSettings()
    places = [(CANVAS * (1 + i) // 5, CANVAS // 2) for i in range(len(looks))]
    things = tuple(make_object(draws, spec, look, i, *places[i]) for i, look in enumerate(looks))
    return Scene(make_background(draws, spec, "green"), things)


def told(text: str) -> dict[str, list[str]]:
    words = re.findall(r"[a-z]+", text)
    return {cue: [word for word in words if word in group] for cue, group in WORDS.items()}


def fits(thing: SceneObject, text: str) -> bool:
    return all(word == getattr(thing, cue) for cue, words in told(text).items() for word in words)


def test_a_caption_depends_on_scene_and_seed_alone() -> None:
    scene = SceneStream(MIX, seed=7).scene(3)
    again = SceneStream(MIX, seed=7).scene(3)
    assert caption(scene, 5) == caption(again, 5)
    assert len({caption(scene, seed).text for seed in range(40)}) > 35
    moved = replace(scene, objects=(replace(scene.objects[0], cx=scene.objects[0].cx + 1), *scene.objects[1:]))
    assert any(caption(scene, seed) != caption(moved, seed) for seed in range(5))


def test_what_a_sentence_says_of_an_object_is_true() -> None:
    checked = 0
    for scene, made in many():
        for sentence in made.text.split(". "):
            if beside := re.fullmatch(r"the (\w+) is next to (.*)|next to the (\w+) there is (.*)", sentence):
                name, rest = (group for group in beside.groups() if group)
                (thing,) = [t for t in scene.objects if t.shape == name]
                others = [t for t in scene.objects if t is not thing]
                near = min(others, key=lambda t: (t.cx - thing.cx) ** 2 + (t.cy - thing.cy) ** 2)
                assert fits(near, rest), (made.text, scene)
            elif re.match(r"the \w+ (\w+ )?(is|has) ", sentence) and "background" not in sentence:
                if "objects" not in sentence and not sentence.startswith("the picture"):
                    assert sum(fits(thing, sentence) for thing in scene.objects) == 1, (made.text, scene)
                else:
                    continue
            elif found := re.search(r"(\d) objects", sentence):
                assert int(found[1]) == len(scene.objects)
            else:
                continue
            checked += 1
    assert checked > 500


def test_lists_name_different_objects_with_their_own_words() -> None:
    red, blue = Appearance("star", "red", "striped", "small"), Appearance("ring", "blue", "dotted", "large")
    scene = scene_of(red, blue)
    for seed in range(300):
        for sentence in caption(scene, seed).text.split(". "):
            for part in re.split(
                r" and (?=an? )|, (?=an? )| in the picture| on (?:an? )?green.*|among them ", sentence
            ):
                if told(part)["shape"] and "next to" not in part:
                    assert sum(fits(thing, part.replace("on green", "")) for thing in scene.objects) == 1, sentence


def test_cue_words_are_where_it_says_and_said_for_the_first_time() -> None:
    groups = {
        **WORDS,
        "background": tuple(COLOURS),
        "count": tuple("123456"),
        "direction": sum(SIDE_WORDS.values(), ()),
    }
    seen = set()
    for scene, made in [*many(100), *many(100, directions=True)]:
        for cue in made.cues:
            word = re.findall(r"\w+", made.text[: cue.end])[-1]
            assert made.text[: cue.end].endswith(word)
            assert word in groups.get(cue.cue, sum(WORDS.values(), ()))
            seen.add(cue.cue)
        assert [cue.end for cue in made.cues] == sorted({cue.end for cue in made.cues})
        if len(scene.objects) == 1:
            assert all(cue.certain for cue in made.cues)
            assert len(made.cues) <= 5
    assert seen == set(CUES)


def test_directions_are_true_of_the_two_objects_that_are_named() -> None:
    checked = 0
    for scene, made in many(100, directions=True):
        for sentence in made.text.split(". "):
            if found := DIRECTION.fullmatch(sentence):
                b, a, word = (found[i] or found[j] for i, j in ((1, 5), (2, 4), (3, 6)))
                (first,), (second,) = ([t for t in scene.objects if fits(t, name)] for name in (a, b))
                true = direction(first, second, RelationSettings())
                assert any(word.endswith(side) for side in SIDE_WORDS[true]), (sentence, scene)
                checked += 1
    assert checked > 200


def test_captions_point_at_objects_that_their_words_single_out() -> None:
    pointed = 0
    for scene, made in [*many(60), *many(60, directions=True)]:
        for name in made.mentions:
            (thing,) = [t for t in scene.objects if (2 * t.cx / CANVAS - 1, 2 * t.cy / CANVAS - 1) == (name.x, name.y)]
            last = [word for word in re.findall(r"\w+", made.text[: name.end]) if word in sum(WORDS.values(), ())][-1]
            assert last in {thing.shape, thing.colour, thing.texture, thing.size}, (made, scene)
            pointed += 1
    assert pointed > 300


def test_a_word_is_certain_only_where_words_before_it_leave_one_object() -> None:
    red, blue = Appearance("star", "red", "striped", "small"), Appearance("ring", "blue", "striped", "large")
    scene = scene_of(red, blue)
    for seed in range(300):
        made = caption(scene, seed)
        first = next((cue for cue in made.cues if cue.cue in WORDS), None)
        if first is not None and not any(cue.cue == "neighbour" for cue in made.cues):
            assert first.certain == (first.cue == "texture"), made  # all that the two have in common


def test_no_caption_is_in_the_words_of_a_family() -> None:
    slots = {"a": r"\w+ \w+", "b": r"\w+ \w+", "shape": r"\w+"}
    questions = [
        re.compile(
            "".join(re.escape(text) + (slots[slot] if slot else "") for text, slot, _, _ in Formatter().parse(q))
        )
        for texts in question_templates().values()
        for q in (text.lower().rstrip("?.") for text in texts)
    ]
    size, colour, texture, shape = ("|".join(WORDS[cue]) for cue in ("size", "colour", "texture", "shape"))
    line = re.compile(rf"({size}) ({colour}) ({texture}) ({shape})|\d+ ({size})|[;|]")
    answers = re.compile(r"\b(yes|no|left|right|above|below|front|behind)\b")
    texts = {made.text for _, made in many()}
    directions = {made.text for _, made in many(directions=True)}
    assert min(len(texts), len(directions)) > 1300
    for text in texts | directions | {prompt.lower() for prompt in PROMPTS}:
        assert not any(question.search(text) for question in questions), text
        assert not line.search(text), text
        assert not answers.search(text) or text in directions, text
        assert " " in text, "a single word is an answer"
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text


SMALL = Sizes(
    vision_hidden=16, vision_layers=1, vision_heads=2, hidden=16, layers=2, heads=2, kv_heads=2, intermediate=16
)
FEW = Schedule(steps=3, rate=1e-2, batch_size=2, warmup=1, save_every=1)


def small_recipe(tower: Path) -> Recipe:
    return Recipe(sizes=SMALL, questions=3, stages=(InitialTower(str(tower)), Stage("captions", FEW, MIX)))


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished model of the small recipe's sizes, with other weights than the recipe's seed would give."""
    directory: Path = tmp_path_factory.mktemp("tower") / "model"
    save_published(*random_model("llava", SMALL, seed=5), directory)
    return directory


def test_batches_depend_on_their_step_alone_and_fill_their_room() -> None:
    tokenizer = train_tokenizer()
    schedule = replace(FEW, batch_size=8)
    recipe, packer = RECIPES["neutral"], Packer(tokenizer, 64)
    texts = partial(caption_texts, packer, recipe.questions, False)
    stream, later = (
        PackedStream(SceneStream(MIX, 1), packer, texts, schedule, first, recipe.sizes.image_size) for first in (0, 2)
    )
    batch = [*stream][2]
    (same,) = [*later]
    assert all(torch.equal(batch[key], same[key]) for key in batch)
    lengths = (batch["segments"] >= 0).sum(1)
    assert lengths.max() <= ROW_TOKENS
    assert lengths.float().mean() > 0.6 * ROW_TOKENS
    assert len(batch["mentions"])
    assert (batch["segments"][tuple(batch["mentions"].T)] >= 0).all()


def test_a_neutral_model_keeps_the_tower_it_takes_and_learns_the_rest(tower: Path, tmp_path: Path) -> None:
    model = pretrain(small_recipe(tower), tmp_path, torch.device("cpu"), lambda line: None)
    given, made = load_file(tower / "model.safetensors"), load_file(model / "model.safetensors")
    assert given.keys() == made.keys()
    for name, weight in given.items():
        same = torch.equal(weight.to(torch.bfloat16), made[name])
        assert same == name.startswith("vision_tower."), name
    scores = score_captions(model, 8, "cpu")
    assert scores.loss > 0
    assert set(scores.cues) <= set(CUES)


def test_a_killed_training_ends_with_the_same_weights(tower: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def show(line: dict) -> None:
        raise Stop

    recipe = small_recipe(tower)
    whole = pretrain(recipe, tmp_path / "a", torch.device("cpu"), lambda line: None)
    with pytest.raises(Stop):
        pretrain(recipe, tmp_path / "b", torch.device("cpu"), show)
    broken = pretrain(recipe, tmp_path / "b", torch.device("cpu"), lambda line: None)
    a, b = (load_file(path / "model.safetensors") for path in (whole, broken))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_tower_of_other_sizes_or_of_nowhere_is_refused(tower: Path, tmp_path: Path) -> None:
    wider = replace(small_recipe(tower), sizes=replace(SMALL, vision_hidden=32))
    with pytest.raises(VtbenchError, match=r"model\.safetensors: the vision tower's .* is \(16,?.*\), not \(32"):
        pretrain(wider, tmp_path / "a", torch.device("cpu"), lambda line: None)
    with pytest.raises(VtbenchError, match="no vision tower to take"):
        pretrain(small_recipe(tmp_path / "nowhere"), tmp_path / "b", torch.device("cpu"), lambda line: None)


def test_an_unknown_recipe_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["pretrain", "--output", str(tmp_path / "x"), "--recipe", "nope"]) == 2
    error = capsys.readouterr().err
    assert "--recipe: must be 'default' or 'neutral', not 'nope'" in error
    assert error.count("\n") == 1


def test_a_scaled_recipe_still_takes_its_tower() -> None:
    recipe = RECIPES["neutral"].scaled(0.01)
    assert recipe.stages[0] == RECIPES["neutral"].stages[0]
    assert recipe.stages[1].schedule.steps == round(RECIPES["neutral"].stages[1].schedule.steps * 0.01)
