"""Cells of a user's data: each typed value has one right text, or is refused with a reason."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtbench.task.cells import CellError, answers, as_text, choices, forms, is_missing, labelled, match

ROWS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
"""Whatever may stand in a cell."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("cup", "cup"),
        (" cup ", " cup "),
        ("none", "none"),
        ("nan", "nan"),
        (3, "3"),
        (-3, "-3"),
        (3.0, "3"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (0.1, "0.1"),
        (1e-05, "0.00001"),
        (1e15, "1000000000000000"),
        (1e300, "1e+300"),
        (np.float32(0.1), "0.1"),
        (np.float16(0.1), "0.1"),
        (np.float32(3), "3"),
        (np.int64(7), "7"),
        (np.uint8(7), "7"),
        (np.str_("cup"), "cup"),
        (np.bool_(True), "true"),
        (True, "true"),
        (False, "false"),
        (Decimal("3.00"), "3"),
        (Decimal("3.50"), "3.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E+999999"), "1E+999999"),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 12, 30), "2024-05-01 12:30:00"),
        (datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01 00:00:00+00:00"),
        (pd.Timestamp("2024-05-01"), "2024-05-01"),
        (np.datetime64("2024-05-01"), "2024-05-01"),
        (time(9, 5), "09:05:00"),
        (timedelta(minutes=5), "0:05:00"),
        (b"\xc3\xa9t\xc3\xa9", "été"),
        ("\ud83d hi", "\\ud83d hi"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_a_typed_value_has_its_usual_text(value: Any, text: str) -> None:
    assert as_text(value) == text
    assert forms(value)[0] in (text, "yes", "no")


@pytest.mark.parametrize("value", [None, math.nan, Decimal("NaN"), Decimal("sNaN"), np.float32("nan"), pd.NaT, pd.NA])
def test_what_is_missing_is_no_answer(value: Any) -> None:
    assert is_missing(value)
    for cell in (value, [value], [value, ""]):
        with pytest.raises(CellError, match="is missing"):
            answers(cell)


@pytest.mark.parametrize("value", ["", "  ", "\n", np.datetime64("NaT"), []])
def test_nothing_is_no_answer(value: Any) -> None:
    with pytest.raises(CellError, match=r"is missing|empty list"):
        answers(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"answer": "cup", "confidence": 3}, "an object where a text belongs, with the keys 'answer', 'confidence'"),
        ([["cup"]], "a list of 1 where a single text"),
        ([{"answer": "cup"}], "an object where a text belongs"),
        (math.inf, "an infinite number"),
        (Decimal("-Infinity"), "an infinite number"),
        (b"\xff\xfe", "no UTF-8"),
        (object(), "of type object"),
        pytest.param(10**5000, "4,300 digits", id="huge"),
    ],
)
def test_what_is_no_text_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(CellError, match=reason):
        answers(value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("cup", ("cup",)),
        (["cup", "mug"], ("cup", "mug")),
        (["cup", "cup", None, "", "mug", math.nan], ("cup", "mug")),
        (("cup",), ("cup",)),
        (np.array(["cup", "mug"]), ("cup", "mug")),
        ([3.0, 4], ("3", "4")),
        (True, ("yes", "true")),
        (False, ("no", "false")),
        (Decimal("3.00"), ("3", "3.00")),
        (Decimal("3.50"), ("3.50", "3.5")),
        ('["cup", "mug"]', ("cup", "mug", '["cup", "mug"]')),
        ("['cup', 'mug']", ("cup", "mug", "['cup', 'mug']")),
        ("[0.1, 0.5]", ("[0.1, 0.5]",)),
        ("[broken", ("[broken",)),
        ("[]", ("[]",)),
    ],
)
def test_right_answers(value: Any, wanted: tuple[str, ...]) -> None:
    assert answers(value) == wanted


@pytest.mark.parametrize(
    ("cell", "texts", "labels"),
    [
        (["cup", "plate"], ("cup", "plate"), ()),
        (["cup", None, "plate", "", math.nan], ("cup", "plate"), ()),
        (["cup", "cup", "plate"], ("cup", "plate"), ()),
        ([1.0, 2.0, 2.5], ("1", "2", "2.5"), ()),
        ([True, False], ("true", "false"), ()),
        (np.array([1, 2]), ("1", "2"), ()),
        ({"A": "cup", "B": "plate", "C": None}, ("cup", "plate"), ("A", "B", "C")),
        ({"label": ["A", "B"], "text": ["cup", "plate"]}, ("cup", "plate"), ("A", "B")),
        ([{"label": "A", "text": "cup"}, {"label": "B", "text": "plate"}], ("cup", "plate"), ("A", "B")),
        ([("A", "cup"), ("B", "plate")], ("cup", "plate"), ("A", "B")),
        ('["cup", "plate"]', ("cup", "plate"), ()),
        ("['cup', \"it's\"]", ("cup", "it's"), ()),
        ('{"A": "cup", "B": "plate"}', ("cup", "plate"), ("A", "B")),
        (None, (), ()),
        (math.nan, (), ()),
        ([], (), ()),
        ("[]", (), ()),
        ("", (), ()),
        ([None, ""], (), ()),
    ],
)
def test_choices_in_all_their_forms(cell: Any, texts: tuple[str, ...], labels: tuple[str, ...]) -> None:
    found = choices(cell)
    assert (found.texts, found.labels) == (texts, labels)


@pytest.mark.parametrize("cell", ["cup, plate", 7, [["cup"]], [{"a": 1}], {"A": {"x": 1}}, "[" * 5000])
def test_other_choices_are_refused(cell: Any) -> None:
    with pytest.raises(CellError, match=r"a list of answers|where a"):
        choices(cell)


LETTERS = {"A": "cup", "B": "plate", "C": "book"}


@pytest.mark.parametrize(
    ("target", "cell", "by", "wanted"),
    [
        ("plate", ["cup", "plate"], "text", ("plate",)),
        ("Plate", ["cup", "plate"], "text", ("Plate",)),  # scoring knows case and synonyms
        ("B", LETTERS, "text", ("plate",)),
        ("b", LETTERS, "text", ("plate",)),
        ("plate", LETTERS, "text", ("plate",)),
        (2, {1: "cup", 2: "plate"}, "text", ("plate",)),
        (3.0, ["2", "3"], "text", ("3",)),
        (3, [2.0, 3.0], "text", ("3",)),
        (1, ["0", "1", "2"], "text", ("1",)),
        ("A", ["B", "A"], "text", ("A",)),
        (True, ["Yes", "No"], "text", ("Yes",)),
        (False, ["True", "False"], "text", ("False",)),
        (True, [True, False], "text", ("true",)),
        (["cup", "book"], LETTERS, "text", ("cup", "book")),
        (["A", "C", "A"], LETTERS, "text", ("cup", "book")),
        ('["cup", "book"]', ["cup", "book"], "text", ("cup", "book")),
        (0, ["cup", "plate"], "index", ("cup",)),
        (1.0, ["cup", "plate"], "index", ("plate",)),
        ("1", ["cup", "plate"], "number", ("cup",)),
        ("B", ["cup", "plate"], "letter", ("plate",)),
        ("(b)", ["cup", "plate"], "letter", ("plate",)),
        ("A", ["B", "A"], "letter", ("B",)),
        (2, ["cup", None, "plate"], "index", ("plate",)),  # padding keeps its place
        (1, ["2", "1", "0"], "index", ("1",)),
    ],
)
def test_a_target_names_its_choice(target: Any, cell: Any, by: Any, wanted: tuple[str, ...]) -> None:
    assert match(target, choices(cell), by) == wanted


@pytest.mark.parametrize(
    ("target", "cell", "by", "reason"),
    [
        (1, ["cup", "plate"], "text", "target_as: index"),
        ("1", ["one", "two", "three"], "text", "target_as: index"),  # `one` by its word, `two` by its index
        (2, ["cup", "plate"], "text", "target_as: number"),
        ("B", ["Type B", "Type A"], "text", "target_as: letter"),
        ("B", {"A": "B", "B": "A"}, "text", "is a choice, and the name of the choice 'A'"),
        (2, ["cup", "plate"], "index", "no position among the 2 choices"),
        (0, ["cup", "plate"], "number", "no position"),
        (-1, ["cup", "plate"], "index", "no position"),
        (1, ["cup", None], "index", "no position"),
        ("Z", ["cup", "plate"], "letter", "no position"),
        (None, ["cup"], "text", "is missing"),
        ([], ["cup"], "text", "empty list"),
        (0, None, "index", "the row has no choices"),
    ],
)
def test_a_target_that_may_mean_another_choice_is_refused(target: Any, cell: Any, by: Any, reason: str) -> None:
    with pytest.raises(CellError, match=reason):
        match(target, choices(cell), by)


def test_choices_from_columns() -> None:
    found = labelled([("A", "cup"), ("B", "plate"), ("C", ""), ("D", None)])
    assert found.texts == ("cup", "plate")
    assert match("B", found, "text") == ("plate",)


@given(ROWS, ROWS)
def test_any_cell_is_read_or_refused_in_one_line(target: Any, cell: Any) -> None:
    assert "\n" not in outcome(target, cell)


def outcome(target: Any, cell: Any) -> str:
    """Return the right answers as JSON that a file can hold, or the reason. Another exception is a failure."""
    try:
        found = match(target, choices(cell), "text")
    except CellError as error:
        return str(error)
    assert found
    assert all(text.strip() for text in found)
    return json.dumps(found, ensure_ascii=False).encode().decode()


@given(st.one_of(st.integers(-(10**9), 10**9), st.decimals(allow_nan=False, allow_infinity=False, places=2)))
def test_a_numbers_text_is_the_number(value: Any) -> None:
    assert Decimal(as_text(value)) == value


def test_arrow_scalars_arrive_as_their_values() -> None:
    from vtbench.task.rows import _cell

    column = pa.array([0.1, None], pa.float32())
    assert [is_missing(_cell(cell)) for cell in column] == [False, True]
    assert as_text(_cell(column[0])) == "0.1"
