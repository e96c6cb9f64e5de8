"""Probes against known truth: what is there is found, what is not there stays at chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from probe_fakes import posed, tokens
from scipy.stats import binom

from vtbench_probes import attention_probe, linear_probe
from vtbench_probes.probe_data import Problem, Tokens, deal_folds, shuffled
from vtbench_probes.survival import PROBES, balanced_accuracy

N, M, R = 500, 16, 8
ROWS = np.arange(N)
DRAWS = {"linear": 100, "attention": 12}
OWN = [f"scene {i}" for i in range(N)]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def accuracy(probe: str, seen: Tokens, asked: Problem, clusters: list[str] = OWN):
    (said_n,) = PROBES[probe](seen, [asked], deal_folds(clusters))
    return balanced_accuracy(said_n, asked, clusters)


def at_chance(probe: str, seen: Tokens, drawn: list[Problem], clusters: list[str] = OWN) -> bool:
    """Whether as many 95 % intervals hold chance as should, at 1 in 100, over draws of labels; and lie around it.

    Of attention probes with two initialisations: the choice between them could tell of the labels as that of six could.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention_probe, "STARTS", 2)
        return _at_chance(probe, seen, drawn, clusters)


def _at_chance(probe: str, seen: Tokens, drawn: list[Problem], clusters: list[str]) -> bool:
    said = PROBES[probe](seen, drawn, deal_folds(clusters))
    found = [balanced_accuracy(said_n, asked, clusters) for said_n, asked in zip(said, drawn, strict=True)]
    held = [f.interval[0] <= asked.chance <= f.interval[1] for f, asked in zip(found, drawn, strict=True)]
    away = np.mean([f.value - asked.chance for f, asked in zip(found, drawn, strict=True)])
    return len(held) - sum(held) <= binom.ppf(0.99, len(held), 0.05) and abs(away) < 0.02


def in_every_token(seed: int = 0) -> tuple[Tokens, Problem]:
    """Four labels; all tokens lean a little towards their sample's."""
    label_n = random(4 * seed + 1).integers(0, 4, N)
    x = random(4 * seed).standard_normal((N, M, R))
    x[ROWS, :, label_n] += 1.5
    return tokens(x), posed(label_n)


def at_an_unknown_token(seed: int = 0) -> tuple[Tokens, Problem]:
    """One token, anywhere, is marked and says the label; all others say anything."""
    says = random(4 * seed).integers(0, 4, (N, M))
    place = random(4 * seed + 1).integers(0, M, N)
    x = np.zeros((N, M, R))
    np.put_along_axis(x, says[:, :, None], 1, axis=2)
    x[ROWS, place, 7] = 1
    return tokens(x), posed(says[ROWS, place])


def at_the_told_place(seed: int = 0) -> tuple[Tokens, Problem]:
    """Every token has a label of its own, and the hinted one counts."""
    says, place = random(4 * seed).integers(0, 4, (N, M)), random(4 * seed + 1).integers(0, M, N)
    x = 0.1 * random(4 * seed + 2).standard_normal((N, M, R))
    np.put_along_axis(x, says[:, :, None], 1, axis=2)
    return tokens(x), posed(says[ROWS, place], "place", place)


def crossed_at_the_told_place(seed: int = 0) -> tuple[Tokens, Problem]:
    """Two signs of the hinted token; the label is their product."""
    x, place = random(4 * seed).choice([-1.0, 1.0], (N, M, R)), random(4 * seed + 1).integers(0, M, N)
    return tokens(x), posed((x[ROWS, place, 0] * x[ROWS, place, 1] > 0).astype(int), "place", place)


def bound_to_the_told_shape(seed: int = 0) -> tuple[Tokens, Problem]:
    """Four of the tokens are objects, one of each shape, each with a colour; the hinted shape's counts."""
    place = np.argsort(random(4 * seed).random((N, M)), axis=1)[:, :4]
    colour, hint = random(4 * seed + 1).integers(0, 4, (N, 4)), random(4 * seed + 2).integers(0, 4, N)
    x = 0.05 * random(4 * seed + 3).standard_normal((N, M, R))
    for shape in range(4):
        x[ROWS, place[:, shape], shape] += 1
        x[ROWS, place[:, shape], 4 + colour[:, shape]] += 1
    return tokens(x), posed(colour[ROWS, hint], "shape", hint)


def nowhere(hint: str, draws: int) -> tuple[Tokens, list[Problem]]:
    """Four labels, one of them for two samples in three, and tokens of another world."""
    hint_n = random(1).integers(0, 4, N) if hint != "nothing" else None
    labels = random(2).choice(4, (draws, N), p=[0.64, 0.12, 0.12, 0.12])
    return tokens(random().standard_normal((N, M, R))), [posed(label_n, hint, hint_n) for label_n in labels]


Truth = Callable[..., tuple[Tokens, Problem]]
BOTH, ATTENTION = ("linear", "attention"), ("attention",)


@pytest.mark.parametrize(
    ("truth", "probes"),
    [
        (in_every_token, BOTH),
        (at_the_told_place, BOTH),
        (at_an_unknown_token, ATTENTION),
        (crossed_at_the_told_place, ATTENTION),
        (bound_to_the_told_shape, ATTENTION),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_finds_what_is_there(truth: Truth, probes: tuple[str, ...]) -> None:
    seen, asked = truth()
    for probe in probes:
        assert accuracy(probe, seen, asked).value > 0.9, probe
    if probes == ATTENTION:
        assert accuracy("linear", seen, asked).value < 0.5 * (1 + asked.chance) - 0.1


@pytest.mark.parametrize("hint", ["nothing", "place", "shape"])
@pytest.mark.parametrize("probe", PROBES)
def test_what_is_not_there_is_at_chance_whatever_the_majority(probe: str, hint: str) -> None:
    assert at_chance(probe, *nowhere(hint, DRAWS[probe]))


@pytest.mark.parametrize("truth", [in_every_token, at_the_told_place, bound_to_the_told_shape])
@pytest.mark.parametrize("probe", PROBES)
def test_shuffled_labels_and_grey_images_are_at_chance(probe: str, truth: Truth) -> None:
    seen, asked = truth()
    assert at_chance(probe, seen, [shuffled(asked, seed) for seed in range(DRAWS[probe])])
    assert at_chance(probe, seen.grey(), [truth(seed)[1] for seed in range(DRAWS[probe])])
    assert accuracy(probe, seen.grey(), asked).value < asked.chance + 0.1


def test_grey_shows_what_is_told_gives_away() -> None:
    seen, asked = bound_to_the_told_shape()
    given = posed(asked.hint_n, "shape", asked.hint_n)
    for probe in PROBES:
        assert accuracy(probe, seen.grey(), given).value > 0.95


@pytest.mark.parametrize("probe", PROBES)
def test_twins_of_a_scene_do_not_teach_each_other(probe: str) -> None:
    """Two samples a scene with the same tokens and label, which mean nothing: only one learnt by heart would tell."""
    half = random().standard_normal((N // 2, 1, 60))
    labels = np.repeat(random(1).integers(0, 2, (DRAWS[probe], N // 2)), 2, axis=1)
    drawn = [posed(label_n) for label_n in labels]
    assert at_chance(probe, tokens(np.repeat(half, 2, axis=0)), drawn, [f"scene {i // 2}" for i in range(N)])


def test_problems_side_by_side_do_not_touch_each_other() -> None:
    """Different numbers of labels, of words, and samples that only one is asked of."""
    seen, asked = bound_to_the_told_shape()
    part = np.where(ROWS % 3 == 0, -1, asked.label_n % 2)
    other = posed(part)
    fold_n = deal_folds(OWN)
    for predict in (linear_probe.predict, attention_probe.predict):
        together = predict(seen, [asked, other], fold_n)
        assert (together[0] == predict(seen, [asked], fold_n)[0]).mean() > 0.97
        assert set(together[1][ROWS % 3 == 0]) == {-1}
        assert set(together[1][ROWS % 3 != 0]) == {0, 1}
