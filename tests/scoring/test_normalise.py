"""The normaliser: what counts as an answer, and that nothing a model can say breaks it."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.errors import SampleError
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SIZES, TEXTURES
from vtbench.scoring import normalise as module
from vtbench.scoring.answers import exact_match, rank_credit, true_choices
from vtbench.scoring.choices import parse_answer
from vtbench.scoring.normalise import SYNONYMS, normalise, plain
from vtbench.types import Sample

YES_NO = ("yes", "no")
SIDES = ("left", "right", "above", "below")
WORDS = (*COLOURS, *SHAPES, *SIZES, *TEXTURES, *SIDES, *YES_NO)


def ask(target, choices=()):
    return Sample("t/0", 0, (), "?", target, choices)


@pytest.mark.parametrize(
    ("text", "choices", "answer"),
    [
        ("Yes.", YES_NO, "yes"),
        ("  NO\n", YES_NO, "no"),
        ("No, it is not.", YES_NO, "no"),
        ("That is not true", YES_NO, "no"),
        ("It is to the left of the square.", SIDES, "left"),
        ("on top of it", SIDES, "above"),
        ("upper left", SIDES, "left"),
        ("lower left", SIDES, None),
        ("The colour is red", tuple(COLOURS), "red"),
        ("red, I mean red", tuple(COLOURS), "red"),
        ("red or blue", tuple(COLOURS), None),
        ("not red", tuple(COLOURS), None),
        ("not red but blue", tuple(COLOURS), "blue"),
        ("not a circle", SHAPES, None),
        ("reddish", tuple(COLOURS), None),
        ("a doughnut", SHAPES, "ring"),
        ("Polka dots", TEXTURES, "dotted"),
        ("chequered", TEXTURES, "checkered"),
        ("Violet", tuple(COLOURS), "purple"),
        ("gray", ("grey", "red"), "grey"),
        ("grey", ("gray", "red"), "gray"),
        ("two", ("1", "2", "3"), "2"),
        ("", YES_NO, None),
        (None, YES_NO, None),
        ("maybe", YES_NO, None),
        ("(B)", ("A", "B"), "B"),
        ("violet", ("violet", "purple"), "violet"),
        ("dark red", ("red", "dark red"), "dark red"),
        ("it looks dark red to me", ("red", "dark red"), "dark red"),
        ("-", ("+", "-"), "-"),
        ("ＲＥＤ", tuple(COLOURS), "red"),
    ],
)
def test_answer_of_a_text(text, choices, answer):
    assert parse_answer(text, choices) == answer


@settings(deadline=None)
@given(st.text(max_size=200), st.lists(st.text(max_size=12), unique=True, max_size=5))
def test_any_text_gives_one_of_the_choices_or_none(text, choices):
    assert parse_answer(text, tuple(choices)) in {None, *choices}


@settings(deadline=None)
@given(st.text(max_size=60))
def test_plain_is_idempotent(text):
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("choices", [YES_NO, SIDES, tuple(COLOURS), SHAPES, TEXTURES, tuple(SIZES)])
def test_every_choice_of_the_benchmark_gives_itself(choices):
    for choice in choices:
        for text in (choice, choice.upper() + ".", f" {choice}\n", f"It is {choice}."):
            assert parse_answer(text, choices) == choice


def test_no_word_of_the_benchmark_is_a_synonym_of_another():
    assert not set(WORDS) & set(SYNONYMS)
    assert {normalise(word) for word in SYNONYMS.values()} == set(SYNONYMS.values())


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_an_open_answer_must_equal_its_target():
    assert exact_match("The Eiffel tower.", ask("Eiffel Tower")) == ("eiffel tower", True)
    assert exact_match("It is the Eiffel tower", ask("Eiffel Tower"))[1] is False
    assert exact_match("...", ask("...")) == (None, False)
    assert exact_match(None, ask("x")) == (None, False)


def test_a_target_may_differ_from_its_choice_in_form_but_must_be_one():
    assert true_choice(ask("Red", ("red", "blue"))) == "red"
    assert exact_match("red", ask("Red", ("red", "blue"))) == ("red", True)
    with pytest.raises(SampleError, match="target 'pink' is none of the choices"):
        true_choice(ask("pink", ("red", "blue")))


def test_unparsed_is_wrong():
    assert exact_match("who knows", ask("red", ("red", "blue"))) == (None, False)


def test_rank_credit():
    assert rank_credit((-1.0, -2.0), 0) == 1.0
    assert rank_credit((-1.0, -2.0), 1) == 0.0
    assert rank_credit((-1.0, -1.0, -3.0), 1) == 0.5
    assert rank_credit(None, 0) == 0.0
    assert rank_credit((float("nan"), -1.0), 1) == 0.0
    # -4 over 4 tokens beats -2 over 1 token, though its sum is lower.
    assert rank_credit((-4.0, -2.0), 0) == 0.0
    assert rank_credit((-4.0, -2.0), 0, (4, 1)) == 1.0
