"""Open answers: what a text states is compared; nothing that it denies, doubts or takes back."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear_time import assert_linear

from vtbench.scoring import open_answers, refusals, statements
from vtbench.scoring.normalise import plain
from vtbench.scoring.open_answers import open_answer
from vtbench.scoring.refusals import is_refusal, without_denials

RIGHT = frozenset({"42 cm"})


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 42 cm?",
        "Is the answer 42 cm?",
        "Can the answer be: 42 cm",
        "The wrong answer is 42 cm",
        "Unless I am wrong, the answer is 42 cm",
        "the answer is 42 cm, not 40",
        "The answer is 42 cm - no wait, 40 cm",
        "The answer is 42 cm\nor 43 cm",
        "The answer is 42 cm.\n\nHmm, 40 cm.",
        "The answer is 42 cm. It is 40 cm.",
        "The answer is 42 cm, so 40 cm is the answer",
        "The answer is 42 cm because I cannot see it. It could be 40 cm.",
        "Answer: 42 cm\nCorrection: 40 cm",
        "Answer: 40 cm\n\n42 cm",
        "\\boxed{42 cm} is wrong",
        "It is not \\boxed{42 cm}",
        "\\boxed{42 cm",
        "\\boxed{-42 cm}",
        '{"answer": "42 cm"} is incorrect',
        'It is not {"answer": "42 cm"}',
        '{"answer": "42 cm"',
        '{"answer": "40 cm", "length": "42 cm"}',
        '{"length": "42 cm", "width": "40 cm"}',
        'It is {"length": "42 cm"}',
        "```\n42 cm\n```\nThat is wrong.",
        "42 cm\n\nExplanation: wait, it is 40 cm.",
        "42 cm\n\n40 cm",
        "The answer to this is hard; 42 cm",
        "The answer is St. 42 cm",
    ],
)
def test_what_is_not_stated_denied_or_taken_back_is_not_right(text):
    assert not open_answer(text, RIGHT)[1]


@given(st.text(max_size=60))
def test_a_text_that_states_nothing_is_compared_as_a_whole(text):
    if not any(mark in text.lower() for mark in ("answer", "{", "`", "####", "\n", "答", "회", "정답")):
        answer, right = open_answer(text, RIGHT)
        assert answer in (plain(text) or None, None)
        assert right == (plain(text) in RIGHT)


@given(st.sampled_from(["7", "red car", "St. Louis", "1/2", "a b c", "−5 °C", "C++", "x^2", "3:30", "$5", "Mr. Bean"]))
def test_any_answer_is_right_in_every_form(answer):
    right = frozenset({plain(answer)})
    for form in ("{}", "The answer is {}", "Answer: {}", "**Answer:** {}", '{{"answer": "{}"}}', "\\boxed{{{}}}"):
        assert open_answer(form.format(answer), right) == (plain(answer), True)
    assert open_answer(f"Final answer: {answer}\nExplanation: it is there.", right)[1]


@pytest.mark.parametrize("text", ["I'm sorry", "Unfortunately the sign is not in view", "no image", "I cannot see it"])
def test_a_refusal_is_the_answer_where_it_is_the_right_one(text):
    assert open_answer(text, frozenset()) == (None, False)
    assert open_answer(text, frozenset({plain(text)})) == (plain(text), True)


@pytest.mark.parametrize(
    "text", ["sorrel", "I can see 3", "I do", "Please", "The image shows a cat", "No", "no parking"]
)
def test_what_only_looks_like_a_refusal_is_none(text):
    assert not is_refusal(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("I can't see the left side, but it is red", "I , but it is red"),
        ("I do not know whether it is red", "I do "),
        ("It is not red", "It is not red"),
        ("not only red", "not only red"),
        ("cannot be red", "cannot be red"),
    ],
)
def test_denials_end_with_their_clause(text, left):
    assert without_denials(text) == left


@pytest.mark.parametrize(
    "piece",
    [
        "the answer is ",
        "\\boxed{",
        "{",
        '{"answer": "a"}',
        "**",
        "so ",
        "answer\n",
        ".",
        "(",
        "not see ",
        "'",
        "no image ",
        "n't ",
    ],
)
def test_a_very_long_text_is_read_in_linear_time(piece):
    for read in (without_denials, lambda t: open_answer(t, RIGHT), lambda t: open_answer("Answer: 42 cm. " + t, RIGHT)):
        assert_linear(read, piece)


@pytest.mark.parametrize("tested", [open_answers, refusals, statements])
def test_doctests(tested):
    assert doctest.testmod(tested).failed == 0
