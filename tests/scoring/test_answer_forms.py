"""The recorded forms of answers (tests/data/answer_forms): each is read as its file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vtbench.scoring.answers import exact_match, given_choice
from vtbench.scoring.graph import Graph, parse_graph
from vtbench.scoring.reasoning import final_answer
from vtbench.types import Sample

FORMS = Path(__file__).parents[1] / "data" / "answer_forms"
Form = Mapping[str, Any]


def forms(name: str) -> list[tuple[Form, Form]]:
    """Return the forms of a file, each with the question that it answers."""
    groups = yaml.safe_load((FORMS / f"{name}.yaml").read_text(encoding="utf-8"))
    return [(group, form) for group in groups for form in group["forms"]]


CLOSED, OPEN, GRAPHS = map(forms, ("closed", "open", "graphs"))


def closed(question: Form) -> Sample:
    choices, labels = tuple(question["choices"]), tuple(question.get("labels", ()))
    return Sample("t/0", 0, (), "", choices[0], choices, labels=labels, synonyms=question.get("synonyms", {}))


def open_question(question: Form) -> Sample:
    references, synonyms = tuple(question.get("references", ())), question.get("synonyms", {})
    return Sample("t/0", 0, (), "", question["target"], references=references, synonyms=synonyms)


def read_graph(text: str) -> Graph:
    return in_order(parse_graph(final_answer(text)))


def in_order(graph: Graph) -> Graph:
    return replace(graph, objects=tuple(sorted(graph.objects, key=lambda thing: thing.number)))


def wanted_graph(question: Form, form: Form) -> Graph:
    if form["said"] == "all":
        return parse_graph(question["graph"])
    return replace(parse_graph(form["said"]), well_formed=False)


@pytest.mark.parametrize(("question", "form"), CLOSED)
def test_a_closed_answer_gives_the_choice_that_the_file_says(question: Form, form: Form) -> None:
    assert given_choice(form["text"], closed(question)) == form["answer"]


@pytest.mark.parametrize(("question", "form"), OPEN)
def test_an_open_answer_says_what_the_file_says(question: Form, form: Form) -> None:
    assert exact_match(form["text"], open_question(question)) == (form["answer"], form["right"])


@pytest.mark.parametrize(("question", "form"), GRAPHS)
def test_a_scene_graph_is_what_the_file_says(question: Form, form: Form) -> None:
    assert read_graph(form["text"]) == wanted_graph(question, form)


def verdicts() -> Iterator[tuple[bool, bool, bool]]:
    """Yield of each form whether it has an answer, whether it was parsed, and whether it was parsed wrongly."""
    for question, form in CLOSED:
        choice = given_choice(form["text"], closed(question))
        yield form["answer"] is not None, choice is not None, choice not in (None, form["answer"])
    for question, form in OPEN:
        answer, right = exact_match(form["text"], open_question(question))
        yield form["answer"] is not None, answer is not None, right and not form["right"]
    for question, form in GRAPHS:
        graph, wanted = read_graph(form["text"]), wanted_graph(question, form)
        yield form["said"] == "all", graph.well_formed, graph.well_formed and graph != wanted


def test_unparsed_are_under_one_percent_of_the_forms_with_an_answer_and_none_is_parsed_wrongly() -> None:
    found = list(verdicts())
    answered = [parsed for has_answer, parsed, _ in found if has_answer]
    assert len(answered) > 300
    assert answered.count(False) / len(answered) < 0.01
    assert not any(wrong for *_, wrong in found)


@pytest.mark.parametrize(
    ("file", "question"), [("closed", "choices"), ("open", "target"), ("graphs", "graph")], ids=lambda value: value
)
def test_every_type_of_answer_has_at_least_forty_styles(file: str, question: str) -> None:
    assert len({form["text"] for asked, form in forms(file) if question in asked}) >= 40


@given(st.sampled_from(OPEN), st.sampled_from(["7 apples", "London", "0", "-3 cm"]))
def test_no_form_of_another_answer_makes_a_wrong_answer_right(pair: tuple[Form, Form], target: str) -> None:
    assert not exact_match(pair[1]["text"], Sample("t/0", 0, (), "", target))[1]


DENIALS = [
    "It is not true that {}",
    "I do not think that {}",
    "If I had to guess wrongly: {}",
    "{} Wait, that is wrong.",
]
DENIALS += ["{} Actually, I am not sure.", "{}\n\nHmm, no.", "{} Or maybe another.", "{} But it could be another."]


@given(st.sampled_from(DENIALS), st.sampled_from(["the answer is {}.", "\\boxed{{{}}}.", '{{"answer": "{}"}}.']))
def test_an_open_answer_that_is_denied_or_taken_back_is_not_right(denial: str, statement: str) -> None:
    text = statement.format("42 cm")
    assert exact_match(text, Sample("t/0", 0, (), "", "42 cm"))[1]
    assert not exact_match(denial.format(text), Sample("t/0", 0, (), "", "42 cm"))[1]


@given(st.text(max_size=80), st.sampled_from(["42 cm", "Paris"]))
def test_an_open_answer_that_is_not_named_is_never_right(text: str, target: str) -> None:
    answer, right = exact_match(text, Sample("t/0", 0, (), "", target))
    assert not right or answer == target.lower()
