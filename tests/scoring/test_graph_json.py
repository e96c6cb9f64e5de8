"""Scene graphs as JSON: the same graph as the line, whatever JSON the model makes of it, also where it is cut."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_time import assert_linear
from test_scene_graph import graphs, write

from vtbench.errors import TaskError
from vtbench.scoring import graph_parts, loose_json
from vtbench.scoring.graph import Graph, parse_graph
from vtbench.scoring.graph_json import graph_as_json
from vtbench.scoring.loose_json import documents

LINE = "1 large red striped circle ; 2 small blue solid square | 1 left 2"
WORDS = st.sampled_from(
    ["large", "red", "polka dots", "doughnut", "left", "über", "\\", "10", "a", "not", "true", '"', "x'"]
)


@given(graphs())
def test_json_is_the_graph_of_the_line(graph):
    line = write(graph)
    assert parse_graph(graph_as_json(line)) == parse_graph(line) == graph


@given(st.lists(st.lists(WORDS, min_size=3, max_size=5).map(" ".join), min_size=1, max_size=3))
def test_json_is_the_graph_of_any_line_that_is_well_formed(looks):
    line = " ; ".join(f"{number} {look}" for number, look in enumerate(looks, 1))
    if parse_graph(line).well_formed:
        assert parse_graph(graph_as_json(line)) == parse_graph(line)


def test_json_keeps_the_order_and_the_words_of_the_line():
    line = "2 small blue solid square ; 1 large red striped circle | 2 right 1 ; 1 above 2"
    assert json.loads(graph_as_json(line)) == {
        "objects": [
            {"id": 2, "size": "small", "colour": "blue", "texture": "solid", "shape": "square"},
            {"id": 1, "size": "large", "colour": "red", "texture": "striped", "shape": "circle"},
        ],
        "relations": [
            {"subject": 2, "relation": "right", "object": 1},
            {"subject": 1, "relation": "above", "object": 2},
        ],
    }


@pytest.mark.parametrize("text", ["", "a red circle", "1 large red", "1 large red striped circle | 1 left 3"])
def test_what_is_no_line_is_refused(text):
    with pytest.raises(TaskError, match="is no scene graph such as"):
        graph_as_json(text)


@given(graphs(), st.data())
def test_of_json_that_is_cut_what_is_whole_counts(graph, data):
    text = graph_as_json(write(graph))
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    found = parse_graph(cut)
    assert not found.well_formed
    assert found.objects == graph.objects[: cut.count("}")]
    assert found.relations <= graph.relations


@given(graphs(most=2), st.sampled_from(["```json\n{}\n```", "Here's it: {}\nIt's done.", "[{}]", '{{"graph": {}}}']))
def test_what_stands_around_json_makes_no_difference(graph, frame):
    assert parse_graph(frame.format(graph_as_json(write(graph)))) == graph


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"id": 1', '"id": 3'),  # the relation's end is missing
        ('"id": 2', '"id": 1'),
        ('"id": 2', '"id": "square"'),
        ('"objects": [', '"objects": [7, '),
        ('"relations"', '"objects": [], "relations"'),
        ('"left"', '"near"'),
        ('"left"', "null"),
        ('"object": 2', '"object": [2]'),
        ('"shape": "square"', '"form": "square"'),
        ('"shape": "square"', '"shape": ""'),
        ('"solid"', "3"),
        ('"relations": [', '"relations": [7, '),
        ('{"subject": 1, "relation": "left", "object": 2}', '[1, "left"]'),
        ('{"subject": 1, "relation": "left", "object": 2}', '"near"'),
        ("}], ", "}, "),  # a list without an end
        ("]}", "}"),
        (', "object": 2}]', ', "object": 2}], "note"'),
    ],
)
def test_json_with_a_fault_is_not_well_formed(old, new):
    text = graph_as_json(LINE)
    assert old in text
    assert not parse_graph(text.replace(old, new, 1)).well_formed


def test_the_last_document_with_objects_counts():
    other = graph_as_json("1 small green dotted star")
    assert parse_graph(f"For example {other}. Here: {graph_as_json(LINE)}") == parse_graph(LINE)
    assert parse_graph(f'{graph_as_json(LINE)} {{"note": "done"}} {{}} [1]') == parse_graph(LINE)


def test_words_of_several_words_are_one_attribute():
    graph = parse_graph(graph_as_json(LINE).replace('"red"', '"light blue"'))
    assert graph.well_formed
    assert graph.objects[0].colour == "light blue"


@pytest.mark.parametrize(
    "piece", ['{"a":', "[", "{", "}", '"', "'", "\\", '\\"', "{'", "//", "1 ", "{a}", '["', "```\n", "(", "1. "]
)
def test_a_very_long_text_is_read_in_linear_time(piece):
    text = piece * (10_000 // len(piece))
    for start in ("", '{"objects": ['):
        assert not parse_graph(start + text).well_formed
        assert_linear(lambda text, start=start: parse_graph(start + text), piece)


@settings(deadline=None)
@given(st.text("{}[]\",':1a/\\ \n", max_size=60))
def test_any_text_is_read(text):
    assert isinstance(parse_graph(text), Graph)
    assert all(isinstance(document, dict | list) for document, _ in documents(text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(VALUES, min_size=1, max_size=3) | st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=3))
def test_json_is_read_as_json(value):
    def as_read(part):
        if isinstance(part, list):
            return [as_read(entry) for entry in part]
        if isinstance(part, dict):
            return {key: as_read(entry) for key, entry in part.items()}
        negative = isinstance(part, int) and not isinstance(part, bool) and part < 0
        return str(part) if negative else part  # numbers with a sign are kept as they are written

    assert list(documents(json.dumps(value))) == [(as_read(value), True)]


def test_documents_end_where_they_are_too_deep():
    deep = "[" * 30 + "1" + "]" * 30
    assert [whole for _, whole in documents(deep)] == [False]


@pytest.mark.parametrize("tested", [graph_parts, loose_json])
def test_doctests(tested):
    assert doctest.testmod(tested).failed == 0


def test_relations_in_a_document_of_their_own_that_is_cut_are_not_well_formed():
    objects, relations = graph_as_json(LINE).split(', "relations"')
    whole = f'{objects}}} {{"relations"{relations}'
    assert parse_graph(whole) == parse_graph(LINE)
    graph = parse_graph(whole[:-1])
    assert (graph.relations, graph.well_formed) == ({(1, "left", 2)}, False)


def test_an_object_whose_number_is_no_number_is_left_out():
    graph = parse_graph(graph_as_json("5 large red striped circle").replace("5", '"circle"'))
    assert (graph.objects, graph.well_formed) == ((), False)


@pytest.mark.parametrize("name", ["id", "number", "index", "object_id"])
def test_the_number_of_an_object_has_several_names(name):
    text = graph_as_json("5 large red striped circle").replace('"id"', f'"{name}"')
    assert parse_graph(text) == parse_graph("5 large red striped circle")


def test_numbers_are_names_in_json_too():
    text = graph_as_json(LINE).replace('"id": 1', '"id": "object 7"').replace('"subject": 1', '"subject": "object 7"')
    graph = parse_graph(text)
    assert graph.well_formed
    assert graph.relations == {(7, "left", 2)}
    assert graph.objects[0] == replace(parse_graph(LINE).objects[0], number=7)
