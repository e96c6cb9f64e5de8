"""The controls score as expected: the oracle is perfect, and controls that do not see are at chance."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import vtbench_controls
from vtbench.adapter import Adapter
from vtbench.errors import AdapterError, SampleError, VtbenchError
from vtbench.metric import Batch
from vtbench.registry import Registry
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.metrics import Accuracy, PairAccuracy, RankAccuracy
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import builtin_source, load_task
from vtbench.types import Record, Sample
from vtbench_controls import perturbation
from vtbench_controls.perturbation import SwappedImages, grey_images
from vtbench_controls.symbolic import Blind, Oracle, guess

FAMILIES = ("coarse", "attribute", "relational", "scene_graph", "precise_offset", "occlusion", "probe")
FACTS = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "meta")


def samples_of(task, n, **overrides):
    made = load_task(find_task_files()[task], **overrides)
    return [made.sample(i, 16) for i in range(n)]


def scenes_of(task, n, start=0):
    """Return samples without their images: symbolic controls use scenes."""
    source = builtin_source(task)
    items = (source.item(i) for i in range(start, start + n))
    return [
        Sample(
            f"{task}/test/0/{i}", i, (), item.prompt, item.question.target, item.question.choices,
            item.question.kind, item.cluster, item.scene.hash, item.scene, item.meta,
        )
        for i, item in enumerate(items, start)
    ]  # fmt: skip


def scores(adapter, samples):
    said, ranked = adapter.generate(samples, 72), adapter.rank(samples)
    outputs = [
        replace(s, logprobs=r.logprobs, logprob_tokens=r.logprob_tokens) for s, r in zip(said, ranked, strict=True)
    ]
    records = [Record(task="t", **{fact: getattr(sample, fact) for fact in FACTS}) for sample in samples]
    found = {}
    for metric in (Accuracy(), RankAccuracy(), PairAccuracy(), SceneGraph()):
        found |= metric.compute(records, metric.observe(Batch(samples, outputs, {})))
    return {name: score for name, score in found.items() if score.value is not None}


@pytest.mark.parametrize("task", FAMILIES)
def test_the_oracle_is_perfect(task):
    found = scores(Oracle(), samples_of(task, 100 if task == "occlusion" else 300))
    assert found
    wrong = {name: s.value for name, s in found.items() if s.value != (0.0 if name == "hallucinated" else 1.0)}
    assert wrong == {}


@pytest.mark.parametrize("split", ["train", "val", "comp", "noise", "background"])
def test_the_oracle_is_perfect_on_every_split(split):
    for task in ("attribute", "relational", "scene_graph"):
        found = scores(Oracle(), samples_of(task, 40, split=split))
        assert {s.value for name, s in found.items() if name != "hallucinated"} == {1.0}


@pytest.fixture
def registered(monkeypatch):
    """Register the controls whether or not vtbench is installed."""
    monkeypatch.setattr(perturbation, "Registry", lambda: Registry({"controls": vtbench_controls}))


@pytest.fixture(scope="module")
def relational():
    return scenes_of("relational", 2000)


@pytest.mark.parametrize("control", ["blind", "bag_of_objects", "majority"])
def test_controls_without_positions_are_at_chance_on_relations(control, relational):
    found = scores(getattr(vtbench_controls, control)(), relational)
    for name in ("acc", "rank_acc"):
        assert abs(found[name].value - found[name].chance) < 0.03
    assert found["pair_acc"].value <= found["pair_acc"].chance


def test_a_guess_that_differs_within_pairs_is_at_the_chance_of_pairs(relational):
    class Coin(Blind):
        def answer(self, sample):
            return guess(replace(sample, prompt=sample.id))

    found = scores(Coin(), relational)
    assert abs(found["acc"].value - found["acc"].chance) < 0.03
    assert abs(found["pair_acc"].value - found["pair_acc"].chance) < 0.03


def test_words_of_a_question_do_not_tell_its_answer(relational):
    """A naive Bayes classifier of the question, trained on 2,000 other items, stays at chance on the test items."""
    training = scenes_of("relational", 2000, start=2000)
    for kind in sorted({s.kind for s in relational}):
        seen = [s for s in training if s.kind == kind]
        words = sorted({w for s in seen for w in s.prompt.lower().split()})
        choices = seen[0].choices
        has = np.array([[w in s.prompt.lower().split() for w in words] for s in seen])
        answers = np.array([choices.index(s.target) for s in seen])
        log_p = np.stack(
            [np.log((has[answers == k].sum(0) + 1) / ((answers == k).sum() + 2)) for k in range(len(choices))]
        )
        asked = [s for s in relational if s.kind == kind]
        present = np.array([[w in s.prompt.lower().split() for w in words] for s in asked])
        guessed = (present @ log_p.T + (~present) @ np.log1p(-np.exp(log_p)).T).argmax(1)
        right = np.mean([choices[k] == s.target for k, s in zip(guessed, asked, strict=True)])
        # Both members of a pair get one answer: for yes/no that is exactly one right.
        assert abs(right - 1 / len(choices)) < 0.03


@pytest.mark.parametrize(("task", "n"), [("coarse", 600), ("attribute", 600), ("relational", 200)])
def test_shuffled_is_at_chance(task, n):
    score = scores(vtbench_controls.shuffled(), samples_of(task, n))["acc"]
    assert abs(score.value - score.chance) < 4 * max(score.stderr, 0.01)


def test_a_bag_of_objects_knows_everything_but_positions():
    samples = scenes_of("scene_graph", 200)
    found = scores(vtbench_controls.bag_of_objects(), samples)
    assert found["object_f1"].value == found["attribute_acc"].value == 1.0
    assert found["relation_f1"].value == 0.0
    assert scores(vtbench_controls.bag_of_objects(), scenes_of("attribute", 200))["acc"].value == 1.0


def test_the_oracle_refuses_what_it_cannot_answer():
    sample = scenes_of("coarse", 1)[0]
    with pytest.raises(SampleError, match="cannot read the question"):
        Oracle().generate([replace(sample, prompt="Why?")], 8)
    with pytest.raises(SampleError, match="this sample has none"):
        Oracle().generate([replace(sample, scene=None)], 8)


def test_the_oracle_does_not_read_the_target(relational):
    cheated = [replace(s, target="", choices=(), kind="", meta={}) for s in relational[:50]]
    assert Oracle().generate(cheated, 8) == Oracle().generate(relational[:50], 8)


@pytest.mark.parametrize("name", sorted(vtbench_controls.vtbench_adapters()))
def test_every_control_answers_and_ranks_alike(name):
    adapter = vtbench_controls.vtbench_adapters()[name]()
    assert isinstance(adapter, Adapter)
    for sample in samples_of("relational", 12):
        said, ranked = adapter.generate([sample], 8)[0], adapter.rank([sample])[0]
        assert sum(math.exp(p) for p in ranked.logprobs) == pytest.approx(1)
        if name != "echo":
            assert sample.choices[int(np.argmax(ranked.logprobs))] == said.text
    adapter.close()


def test_echo_gives_the_image_as_tokens():
    left_half_red = Image.new("RGB", (64, 64), (255, 0, 0))
    left_half_red.paste((0, 0, 255), (32, 0, 64, 64))
    sample = replace(samples_of("coarse", 1)[0], images=(left_half_red,))
    echo = vtbench_controls.echo(text="Yes")
    (visual,) = echo.visual_tokens([sample, sample], ["connector"])
    assert visual.tokens.shape == (2, 64, 48)
    reds = visual.tokens[0].reshape(64, 16, 3)[:, :, 0].mean(1)
    assert ((reds == 1) == (visual.boxes[:, 2] <= 0.5)).all()
    assert visual.boxes[9] == pytest.approx([1 / 8, 1 / 8, 2 / 8, 2 / 8])
    assert echo.generate([sample], 8)[0].text == "Yes"
    with pytest.raises(AdapterError, match="no layer 'encoder'"):
        echo.visual_tokens([sample], ["encoder"])


@pytest.mark.parametrize(("text", "said"), [(True, "yes"), (False, "no"), (3, "3"), ("red", "red"), (None, "?")])
def test_echo_says_a_text_in_the_form_it_was_written(text, said):
    sample = Sample("t/0", 0, (), "?", "yes")
    assert vtbench_controls.echo(text).generate([sample], 8)[0].text == said


def test_shuffled_takes_the_image_of_another_cluster_in_any_order():
    samples = samples_of("relational", 30)
    first, again = [SwappedImages()(s) for s in samples], [SwappedImages()(s) for s in reversed(samples)][::-1]
    for before, after, after2 in zip(samples, first, again, strict=True):
        assert after.scene.hash == after2.scene.hash != before.scene_hash
        assert after.images[0].tobytes() != before.images[0].tobytes()
        assert (after.prompt, after.target) == (before.prompt, before.target)


def test_shuffled_never_shows_the_other_of_a_pair(tmp_path):
    text = find_task_files()["relational"].read_text(encoding="utf-8")
    small = text.replace("task: relational", "task: small").replace("items: 2000", "items: 4")
    (tmp_path / "small.yaml").write_text(small, encoding="utf-8")
    task, swap = load_task(tmp_path / "small.yaml"), SwappedImages(str(tmp_path))
    scenes = [task.sample(i, 16) for i in range(4)]
    for sample in scenes:
        shown = swap(sample).scene.hash
        assert sample.cluster not in {s.cluster for s in scenes if s.scene_hash == shown}


def test_shuffled_finds_the_task_of_a_mixed_item_and_refuses_others():
    assert SwappedImages()(samples_of("probe", 1)[0]).scene is not None
    with pytest.raises(SampleError, match="renders its own images"):
        SwappedImages()(replace(samples_of("coarse", 1)[0], id="mine/3"))


@pytest.mark.usefixtures("registered")
def test_blind_wraps_a_model_and_shows_it_grey():
    wrapped = vtbench_controls.blind(model="echo", text="No")
    sample = samples_of("relational", 1)[0]
    assert wrapped.generate([sample], 8)[0].text == "No"
    (visual,) = wrapped.visual_tokens([sample], ["connector"])
    assert np.unique(visual.tokens) == pytest.approx([128 / 255])
    assert grey_images(sample).images[0].size == sample.images[0].size
    assert wrapped.describe()["control"] == "blind"
    assert wrapped.layers == ("connector",)


@pytest.mark.usefixtures("registered")
def test_shuffled_wraps_a_model_and_shows_it_another_image():
    wrapped, plain = vtbench_controls.shuffled(model="echo"), vtbench_controls.echo()
    sample = samples_of("coarse", 1)[0]
    assert not np.array_equal(
        wrapped.visual_tokens([sample], ["connector"])[0].tokens, plain.visual_tokens([sample], ["connector"])[0].tokens
    )


def test_arguments_for_a_model_need_one():
    with pytest.raises(VtbenchError, match="add model=NAME"):
        vtbench_controls.blind(pretrained="x")
