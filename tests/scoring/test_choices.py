"""Closed answers: which choice a text gives, for letters, words, phrases and numbers, behind reasoning or without."""

from __future__ import annotations

import doctest
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_time import assert_linear

from vtbench.scoring import choices as module
from vtbench.scoring import letters, reasoning
from vtbench.scoring.choices import parse_answer
from vtbench.scoring.normalise import VOCABULARY, plain
from vtbench.scoring.reasoning import final_answer, split_reasoning, was_cut
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task

L = tuple("ABCD")
YN = ("yes", "no")
I = tuple("ABCDEFGHI")
CASES = [
    ("There is a cat in the picture.", L, None),
    ("I see a dog", tuple("ABCDEFGHI"), None),
    ("A man holds a phone", L, None),
    ("The answer is B, as there is a dog.", L, "B"),
    ("B) a red car", L, "B"),
    ("C. The man holds a phone.", L, "C"),
    ("B", L, "B"),
    ("b", L, "B"),
    ("(B)", L, "B"),
    ("B.", L, "B"),
    ("B)", L, "B"),
    ("(b)", L, "B"),
    ("Answer: B", L, "B"),
    ("answer: b", L, "B"),
    ("option B", L, "B"),
    ("Option B.", L, "B"),
    ("the answer is B", L, "B"),
    ("\\boxed{B}", L, "B"),
    ("The result is \\boxed{\\text{C}}.", L, "C"),
    ("$\\boxed{A}$", L, "A"),
    ("**B**", L, "B"),
    ("**Answer:** B", L, "B"),
    ("**Answer**: **B**", L, "B"),
    ('{"answer": "B"}', L, "B"),
    ('{"answer":"A"}', L, "A"),
    ('```json\n{"answer": "C"}\n```', L, "C"),
    ("B: a red car", L, "B"),
    ("B - a red car", L, "B"),
    ("B, not A", L, "B"),
    ("Not A, but B", L, "B"),
    ("A or B", L, None),
    ("A and B", L, None),
    ("A/B", L, None),
    ("Both A and B are right", L, None),
    ("A is wrong, B is right", L, "B"),
    ("Option A is wrong. Option B is right.", L, "B"),
    ("Option A shows a cat, option B shows a dog. The answer is B.", L, "B"),
    ("A) cat B) dog", L, None),
    ("A. red\nB. blue\nC. green\nD. black", L, None),
    ("A. red\nB. blue\nThe answer is B", L, "B"),
    ("The answer is A. The answer is B.", L, None),
    ("The answer is A. Wait. Final answer: B", L, "B"),
    ("It is A.", L, "A"),
    ("It's B", L, "B"),
    ("The answer is a cat", L, None),
    ("The answer is A cat", L, None),
    ("Answer: A man holding a phone", L, None),
    ("The correct answer is A because the man", L, "A"),
    ("A because the car is red", L, "A"),
    ("A\nbecause the car is red", L, "A"),
    ("The car is red.\n\nB", L, "B"),
    ("The car is red.\n\n(A)", L, "A"),
    ("I think it's (C).", L, "C"),
    ("I'd go with D", L, "D"),
    ("I choose A", L, "A"),
    ("A is correct", L, "A"),
    ("A is the correct answer", L, "A"),
    ("A is not correct", L, None),
    ("The answer is not A", L, None),
    ("The answer isn't B, it's C.", L, "C"),
    ("", L, None),
    ("E", L, None),
    ("C++", L, None),
    ("C#", L, None),
    ("答案是B。", L, "B"),
    ("答案：B", L, "B"),
    ("选B", L, "B"),
    ("Ｂ", L, "B"),
    ("The answer is B) a dog", L, "B"),
    ("<answer>B</answer>", L, "B"),
    ("Answer: (B) a dog", L, "B"),
    ("The correct option is C.", L, "C"),
    ("The correct answer is option C.", L, "C"),
    ("Answer: A, B", L, None),
    ("The answer is B or C", L, None),
    ("The answer is either B or C", L, None),
    ("A", tuple("abcd"), "a"),
    ("(c)", tuple("abcd"), "c"),
    ("There is a cat", tuple("abcd"), None),
    ("<think>A maybe. A!</think>B", L, "B"),
    ("<think>A", L, None),
    ("A maybe</think> C", L, "C"),
    ("[THINK]A[/THINK]D", L, "D"),
    ("◁think▷A◁/think▷B", L, "B"),
    ("<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>", L, "B"),
    ("<|channel|>analysis<|message|>A", L, None),
    ("analysisWe need A.assistantfinalB", L, "B"),
    ("B</s>", L, "B"),
    ("B<|im_end|>", L, "B"),
    ("B\n<|eot_id|>", L, "B"),
    ("Yes, there is no dog.", YN, "yes"),
    ("No, yes", YN, None),
    ("Yes and no", YN, None),
    ("yes or no", YN, None),
    ("There is no dog", YN, "no"),
    ("Yes. No.", YN, None),
    ("The answer is yes, as there is no dog", YN, "yes"),
    ("The answer is yes as there is no dog", YN, "yes"),
    ("Yes - there is no cat", YN, "yes"),
    ("**Yes**, no doubt", YN, "yes"),
    ("It is not true", YN, "no"),
    ("I would say no.", YN, "no"),
    ("5", ("-5", "3"), None),
    ("-5", ("5", "3"), None),
    ("-5", ("5", "-5"), "-5"),
    ("It is -5", ("5", "-5"), "-5"),
    ("It is 5", ("5", "-5"), "5"),
    ("10", ("1", "10"), "10"),
    ("It is 10", ("1", "10"), "10"),
    ("1.5", ("1", "5"), None),
    ("1", ("1", "10"), "1"),
    ("ten", ("1", "10"), "10"),
    ("there are 3 dogs", ("1", "2", "3"), "3"),
    ("C++", ("C", "C++", "C#"), "C++"),
    ("I like C++ a lot", ("C", "C++", "C#"), "C++"),
    ("It is C", ("C", "C++", "Java"), "C"),
    ("C#", ("C", "Java"), None),
    ("20%", ("20", "30"), "20"),
    ("$20", ("20", "30"), "20"),
    ("red or dark red", ("red", "dark red"), None),
    ("dark red", ("red", "dark red"), "dark red"),
    ("dark-red", ("red", "dark red"), "dark red"),
    ("moon", ("moon", "sun"), "moon"),
    ("crescent", ("moon", "sun"), None),
    ("plus", ("plus", "minus"), "plus"),
    ("gray", ("grey", "red"), "grey"),
    ("true", ("true", "false"), "true"),
    ("False.", ("true", "false"), "false"),
    ("no", ("true", "false"), "false"),
    ("B", ("A. red car", "B. blue car"), "B. blue car"),
    ("a blue car", ("A. red car", "B. blue car"), "B. blue car"),
    ("The answer is A", ("A. red car", "B. blue car"), "A. red car"),
    ("B. blue car", ("A. red car", "B. blue car"), "B. blue car"),
    ("(A)", ("(A) red", "(B) blue"), "(A) red"),
    ("The answer is 2, as there are 3 dogs", ("1", "2", "3"), "2"),
    ("10:30", ("10:30", "10.30"), "10:30"),
    ("it is 10:30.", ("10:30", "10:3"), "10:30"),
    ("+", ("+", "-"), "+"),
    ("The sign is +.", ("+", "-"), "+"),
    ("हाँ", ("हाँ", "नहीं"), "हाँ"),
    ("यह की है", ("क", "की"), "की"),
    ("red/blue", ("red", "blue"), None),
    ("**red**", ("red", "blue"), "red"),
    ("red.", ("red", "blue"), "red"),
    ("It's red, not blue.", ("red", "blue"), "red"),
    ("The correct answer is: B) the dog is left", L, "B"),
    ("Correct answer: A", L, "A"),
    ("Ans: C", L, "C"),
    ("ANSWER: D", L, "D"),
    ("My answer is B", L, "B"),
    ("I believe the answer to be B", L, "B"),
    ("B is my answer", L, "B"),
    ("It would be B", L, "B"),
    ("So the answer should be (A)", L, "A"),
    ("Between A and B, I choose B", L, "B"),
    ("Neither A nor B", L, None),
    ("None of the above", L, None),
    ("The answer is both A and C", L, None),
    ("Option (A)", L, "A"),
    ("Choice: C", L, "C"),
    ("(D) none", L, "D"),
    ("Answer is d", L, "D"),
    ("The letter is C", L, "C"),
    ("B\n\nExplanation: A is a cat, C is a dog", L, "B"),
    ("The answer is **(C) left**", L, "C"),
    ("$B$", L, "B"),
    ("Réponse : B", L, "B"),
    ("A cat. So B.", L, "B"),
    ("It's a B-52", L, None),
    ("I", I, "I"),
    ("I.", I, "I"),
    ("I think so", I, None),
    ("(I)", I, "I"),
    ("Answer: I", I, "I"),
    ("The answer is I.", I, "I"),
    ("I am not sure", I, None),
    ("A", I, "A"),
    ("E", I, "E"),
    ("a", L, "A"),
    ("A.", L, "A"),
    ("[A]", L, "A"),
    ('"A"', L, "A"),
    ("'B'", L, "B"),
    ("A!", L, "A"),
    ("> B", L, "B"),
    ("- B", L, "B"),
    ("Answer - B", L, "B"),
    ("Answer = B", L, "B"),
    ("answer→B", L, "B"),
    ("The answer is 'B'.", L, "B"),
    ("the answer is “B”", L, "B"),
    ('{"reason": "A is a cat", "answer": "B"}', L, "B"),
    ("{'answer': 'C'}", L, "C"),
    ('{"choice": "D"}', L, "D"),
    ("<answer>(B)</answer>", L, "B"),
    ("B,", L, "B"),
    ("B;", L, "B"),
    ("B / because", L, "B"),
    ("Option A: a cat. Option B: a dog. I pick option B.", L, "B"),
    ("A? No. B.", L, None),
    ("It could be A, but the answer is C", L, "C"),
    ("The answer cannot be A. It is D.", L, "D"),
    ("I would rule out A and B. C it is.", L, None),
    ("Yes", YN, "yes"),
    ("yes.", YN, "yes"),
    ("Yes!", YN, "yes"),
    ("Answer: yes", YN, "yes"),
    ("I cannot say yes or no", YN, None),
    ("There's no doubt: yes", YN, None),
    ("nope", YN, "no"),
    ("The answer is: No, there are none.", YN, "no"),
    ("Yes it does", YN, "yes"),
    ("not yes", YN, None),
    ('{"answer": "yes"}', YN, "yes"),
    ("Final answer: No.", YN, "no"),
    ("left", ("left", "right"), "left"),
    ("to the left, not the right", ("left", "right"), "left"),
    ("It isn't left", ("left", "right"), None),
    ("left or right?", ("left", "right"), None),
    ("3.5", ("3", "5"), None),
    ("3,5", ("3", "5"), None),
    ("3 of 5", ("3", "5"), None),
    ("3 cats", ("3", "5"), "3"),
    ("three", ("3", "5"), "3"),
    ("10", ("1", "0"), None),
    ("100", ("10", "100"), "100"),
    ("2nd", ("2", "3"), None),
    ("1/2", ("1", "2", "1/2"), "1/2"),
    ("it is 1/2", ("1", "2", "1/2"), "1/2"),
    ("1,000", ("1000", "1"), "1000"),
    ("about 1,000 m", ("1000", "1"), "1000"),
    ("$5", ("$5", "5%"), "$5"),
    ("it costs $5", ("$5", "5%"), "$5"),
    ("5%", ("$5", "5%"), "5%"),
    ("The Eiffel Tower", ("Eiffel Tower", "Big Ben"), "Eiffel Tower"),
    ("a big red bus", ("red bus", "blue bus"), "red bus"),
    ("ice cream", ("ice", "ice cream"), "ice cream"),
    ("C sharp", ("C", "C sharp"), "C sharp"),
    ("red.", ("Red", "BLUE"), "Red"),
    ("none", ("none", "some"), "none"),
    ("None of these", ("None of these", "red"), "None of these"),
    ("B. Because", ("A", "B", "AB"), "B"),
    ("AB", ("A", "B", "AB"), "AB"),
    ("It is blood type AB", ("A", "B", "AB", "O"), "AB"),
    ("There is a cat", ("A", "B", "AB", "O"), None),
    ("The answer is A", ("A", "B", "AB", "O"), "A"),
    ("There is a cat", ("a", "the"), None),
    ("1", ("A", "B"), None),
    ("A1", ("A", "B"), None),
    ("It is x.", ("x", "y", "2x"), "x"),
    ("-x", ("x", "-x"), "-x"),
    ("It is 2x", ("x", "y", "2x"), "2x"),
    ("it is b", L, "B"),
    ("The answer is a", L, "A"),
    ("There is an e here", tuple("ABCDE"), None),
]


@pytest.mark.parametrize(("text", "choices", "answer"), CASES)
def test_the_choice_that_a_text_gives(text, choices, answer):
    assert parse_answer(text, choices) == answer


NOUNS = st.sampled_from(["cat", "dog", "man with a phone", "red car", "boy"])


@given(st.sampled_from(["There is a {}", "A {} stands there", "I see a {}", "a {}", "It shows a {}, I think"]), NOUNS)
def test_no_article_and_no_pronoun_is_a_letter(frame, noun):
    assert parse_answer(frame.format(noun), tuple(string.ascii_uppercase)) is None


FORMS = ["{}", "({})", "{}.", "{})", "{}: a {n}", "{}. A {n}", "Answer: {}", "answer: ({})", "Option {}", "**{}**"]
FORMS += ["The answer is {}.", "The answer is {}, as there is a {n}.", "\\boxed{{{}}}", '{{"answer": "{}"}}']
FORMS += [
    "I see a {n}.\n\nThe correct option is {}",
    "<think>A {n}? Or B) or C)?</think>\n{}",
    "{}</s>",
    "{}\nI see a {n}",
]


@given(st.sampled_from(FORMS), st.sampled_from(string.ascii_uppercase[:10]), NOUNS)
def test_every_letter_counts_in_every_form_of_an_answer(form, letter, noun):
    text = form.format(letter, n=noun)
    assert parse_answer(text, tuple(string.ascii_uppercase[:10])) == letter
    assert parse_answer(text, tuple(string.ascii_lowercase[:10])) == letter.lower()


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from([L, ("A. red", "B. blue"), ("-5", "5", "5%"), YN]))
def test_any_text_gives_one_of_the_choices_or_none(text, choices):
    assert parse_answer(text, choices) in {None, *choices}


@pytest.mark.parametrize(
    "piece",
    [
        "A, B, ",
        "The answer is A. ",
        "the answer is red ",
        "(",
        "* ",
        "'",
        '"',
        "- ",
        " ",
        "1,",
        "\\boxed{",
        "<think>",
        "</s>",
        "A or ",
        "not A ",
    ],
)
@pytest.mark.parametrize("choices", [L, ("red", "blue"), ("1", "-1"), ()])
def test_a_very_long_answer_is_read_in_linear_time(piece, choices):
    assert parse_answer(piece * (10_000 // len(piece)), choices) in {None, *choices}
    assert_linear(lambda text: parse_answer(text, choices), piece)
    assert_linear(plain, piece)


OPENINGS = [("<think>", "</think>"), ("<Thinking>", "</Thinking>"), ("<reasoning>", "</reasoning>")]
OPENINGS += [("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"), ("<|begin_of_thought|>", "<|end_of_thought|>")]
OPENINGS += [("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>")]


@given(st.sampled_from(OPENINGS), st.text(string.ascii_letters + " \n.?", max_size=60), st.sampled_from(["red", "x<5"]))
def test_what_stands_before_the_end_of_reasoning_is_not_the_answer(marks, thought, answer):
    opening, closing = marks
    whole = f"{opening}{thought}{closing}\n\n{answer}"
    assert final_answer(whole) == answer
    assert not was_cut(whole, "stop")
    assert final_answer(f"{thought}{closing} {answer}") == answer  # the chat template wrote the opening mark
    assert final_answer(f"{opening}{thought}") is None
    assert was_cut(f"{opening}{thought}", None)
    assert split_reasoning(whole)[0].startswith(opening)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think>yes<think>b</think>no", "no"),
        ("yes <think>it is</think>", "yes"),
        ("<think>a</think> yes <think>b", None),
        ("<think>a</think>", ""),
        ("<answer> yes </answer>", "yes"),
        ("<think>no</think><answer>yes", "yes"),
        ("yes<|im_end|>\n<|endoftext|>", "yes"),
        ("<s> yes</s>", "yes"),
        ("<|im_start|>assistant\nyes<|im_end|>", "yes"),
        ("</s>", "</s>"),  # the answer to a question about HTML
        ("a < b", "a < b"),
        ("[THINK", "[THINK"),
        ("", ""),
        (None, None),
    ],
)
def test_the_answer_behind_reasoning_and_before_special_tokens(text, answer):
    assert final_answer(text) == answer


def test_a_cut_answer_is_one_that_the_engine_says_so_of():
    assert was_cut("The colour is", "length")
    assert not was_cut("red", "stop")
    assert not was_cut("red", None)
    assert not was_cut(None, None)


@pytest.mark.parametrize("name", ["attribute", "coarse", "relational", "occlusion", "precise_offset"])
def test_the_vocabulary_has_every_closed_answer_of_the_benchmark(name):
    task = load_task(find_task_files()[name])
    words = {choice for index in range(40) for choice in task.sample(index, 16).choices}
    assert words <= VOCABULARY


def test_synonyms_of_the_benchmark_are_for_its_words_only():
    assert parse_answer("crescent", ("moon", "star", "sun")) is None
    assert parse_answer("over", ("above all", "over")) == "over"
    assert parse_answer("doughnut", ("ring", "teal")) is None
    assert parse_answer("doughnut", ("ring", "teal"), benchmark=True) == "ring"


@pytest.mark.parametrize("tested", [module, letters, reasoning])
def test_doctests(tested):
    assert doctest.testmod(tested).failed == 0
