"""From accuracies to what is left of a cue: the formula, the problems that samples pose, the model's own answers."""

from __future__ import annotations

import numpy as np
import pytest
from probe_fakes import posed

from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_probes.errors import ProbeError
from vtbench_probes.probe_data import FOLDS, Problem, build_problem, deal_folds, shuffled
from vtbench_probes.stage_features import pooling
from vtbench_probes.survival import answer_readings, balanced_accuracy, count_cues, retention

OWN = [f"scene {i}" for i in range(400)]


@pytest.mark.parametrize(
    ("accuracy", "chance", "reference", "expected"),
    [
        (1.0, 0.25, 1.0, 1.0),
        (0.25, 0.25, 1.0, 0.0),
        (0.1, 0.25, 1.0, -0.2),
        (0.6, 0.5, 0.75, 0.4),
        (0.9, 0.5, 0.7, 2.0),
    ],
)
def test_retention(accuracy: float, chance: float, reference: float, expected: float) -> None:
    assert retention(accuracy, chance, reference) == pytest.approx(expected)


def test_retention_needs_a_reference_above_chance() -> None:
    with pytest.raises(ProbeError, match="no better than chance"):
        retention(0.5, chance=0.5, reference=0.5)


def test_one_who_always_says_the_commonest_label_is_at_chance() -> None:
    label_n = np.array([0] * 340 + [1] * 40 + [2] * 20)
    found = balanced_accuracy(np.zeros(400, dtype=int), posed(label_n), OWN)
    assert found.value == pytest.approx(1 / 3)
    assert balanced_accuracy(label_n, posed(label_n), OWN).value == 1


def test_accuracy_is_counted_over_what_was_asked_and_clustered() -> None:
    label_n = np.where(np.arange(400) % 4 == 3, -1, np.arange(400) % 2)
    said_n = np.where(np.arange(400) % 8 < 4, label_n, 1 - label_n)
    apart = balanced_accuracy(said_n, posed(label_n), OWN)
    twins = balanced_accuracy(said_n, posed(label_n), [f"scene {i // 4}" for i in range(400)])
    assert apart.n == twins.n == 300
    assert apart.value == twins.value
    assert twins.stderr > 1.2 * apart.stderr


def asked(labels: list[str], hint: str = "") -> list[dict[str, list[str]]]:
    return [{"binding": [hint or f"shape {i % 3}", label]} if label else {} for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "flag"),
    [([""] * 400, "not_in_scenes"), (["red"] * 400, "one_label"), (["red", "blue"] * 49, "few_samples")],
)
def test_what_cannot_be_probed_says_why(labels: list[str], flag: str) -> None:
    assert build_problem("binding", asked(labels)) == flag


def test_rare_labels_are_left_out() -> None:
    labels = ["red", "blue"] * 60 + ["green"] * 9 + [""] * 5
    found = build_problem("binding", asked(labels))
    assert isinstance(found, Problem)
    assert found.labels == ("blue", "red")
    assert found.words == ("shape 0", "shape 1", "shape 2")
    assert found.chance == 0.5
    assert (found.label_n >= 0).sum() == 120 == pytest.approx(found.weight_n.sum())
    assert not found.weight_n[found.label_n < 0].any()


def test_shuffling_keeps_how_often_each_label_is_and_who_is_asked() -> None:
    label_n = np.where(np.arange(400) % 5 == 0, -1, np.arange(400) % 3)
    dealt = shuffled(posed(label_n))
    assert (np.bincount(dealt.label_n + 1) == np.bincount(label_n + 1)).all()
    assert ((dealt.label_n < 0) == (label_n < 0)).all()
    assert (dealt.label_n != label_n).mean() > 0.4


def test_folds_are_even_and_keep_clusters_whole() -> None:
    clusters = [f"scene {i // 2}" for i in range(400)]
    fold_n = deal_folds(clusters)
    assert (fold_n[::2] == fold_n[1::2]).all()
    assert np.bincount(fold_n).tolist() == [80] * FOLDS
    order = np.random.default_rng(0).permutation(400)
    assert (deal_folds([clusters[i] for i in order]) == fold_n[order]).all()


def test_many_tokens_are_averaged_within_cells_and_few_stay() -> None:
    weights, places = pooling(576, None)
    assert weights.shape == (64, 576)
    assert weights.sum(axis=1) == pytest.approx(np.ones(64))
    assert ((weights > 0).sum(axis=0) == 1).all()
    assert places[9] == pytest.approx([1.5 / 8, 1.5 / 8])
    same, spots = pooling(16, None)
    assert (same == np.eye(16)).all()
    assert spots[5] == pytest.approx([1.5 / 4, 1.5 / 4])


def sample(task: str, kind: str):
    made = load_task(find_task_files()[task])
    return next(s for s in (made.sample(i, 8) for i in range(60)) if s.kind == kind)


@pytest.mark.parametrize(
    ("task", "kind", "cues"),
    [
        ("coarse", "shape", {"shape"}),
        ("attribute", "colour", {"colour", "binding"}),
        ("attribute", "background", {"background"}),
        ("relational", "where", {"position"}),
        ("relational", "front", {"occlusion"}),
        ("precise_offset", "offset_x", {"fine_offset"}),
    ],
)
def test_closed_answers_count_for_the_cues_they_ask_for(task: str, kind: str, cues: set[str]) -> None:
    one = sample(task, kind)
    right, wrong = count_cues(one.target, one), count_cues("nonsense", one)
    assert right.keys() == wrong.keys() == cues
    for cue in cues:
        assert (right[cue]["right"], wrong[cue]["right"]) == (1, 0)
        assert right[cue]["chance"] == pytest.approx(1 / len(one.choices))


def test_a_scene_graph_counts_part_by_part() -> None:
    one = sample("scene_graph", "graph")
    perfect = count_cues(one.target, one)
    assert all(part["right"] == part["asked"] for part in perfect.values())
    none = count_cues("", one)
    assert all(part["right"] == 0 for part in none.values())
    assert perfect.keys() == none.keys() == {"count", "shape", "size", "colour", "texture", "position"}


def test_answers_are_a_stage_of_their_own() -> None:
    closed = {"right": 1.0, "asked": 1.0, "chance": 0.25}
    parts = {"right": 1.0, "asked": 4.0, "chance": None}
    answers = [{"colour": closed, "shape": parts}, {"colour": {**closed, "right": 0.0}, "shape": parts}, {}]
    found = {reading.cue: reading for reading in answer_readings(answers, OWN[:3])}
    assert (found["colour"].accuracy, found["colour"].retention) == (0.5, pytest.approx(1 / 3))
    assert (found["shape"].accuracy, found["shape"].retention) == (0.25, None)
    assert {(r.stage, r.probe, r.control, r.n) for r in found.values()} == {("answer", "", "", 2)}
