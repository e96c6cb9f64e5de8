"""The config: one set of fields, three ways in, every mistake named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from vtbench.config import SCORE_KEYS, RunConfig, checked, load
from vtbench.errors import VtbenchError
from vtbench.runs.provenance import differing, strict
from vtbench.runs.secrets import redact, secrets
from vtbench.settings import help_texts, parse_settings


def test_every_field_is_documented_and_deciding_ones_exist() -> None:
    names = {field.name for field in fields(RunConfig)}
    assert help_texts(RunConfig).keys() == names
    assert all(text.endswith((".", "`mps`.")) for text in help_texts(RunConfig).values())
    assert names >= SCORE_KEYS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1,b=x", {"a": 1, "b": "x"}),
        ("pretrained=org/m,x,n=2", {"pretrained": "org/m,x", "n": 2}),
        ("layers=[1,2],t=true,e=", {"layers": [1, 2], "t": True, "e": None}),
        ("q='a=b',s=1e-3", {"q": "a=b", "s": "1e-3"}),
    ],
)
def test_pairs(text: str, expected: dict[str, object]) -> None:
    assert parse_settings(text) == expected


@pytest.mark.parametrize("text", ["a", "=1", "a=[1", "a=1,,b"])
def test_pairs_that_are_none(text: str) -> None:
    if text == "a=1,,b":
        assert parse_settings(text) == {"a": "1,,b"}
    else:
        with pytest.raises(VtbenchError):
            parse_settings(text)


def test_strings_become_what_the_fields_hold() -> None:
    config = checked({"model": "m", "tasks": "a, b,", "batch_size": "8", "limit": "3", "model_args": "k=1"})
    assert (config.tasks, config.batch_size, config.limit, config.model_args) == (["a", "b"], 8, 3, {"k": 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": ["a"]}, "--model is missing"),
        ({"model": "m"}, "--tasks is missing"),
        ({"limit": 0}, "--limit: must be greater than 0, not 0"),
        ({"limit": "many"}, "--limit: .*valid integer.*, not 'many'"),
        ({"batch_size": -1}, "--batch-size: "),
        ({"max_failed": 2}, "--max-failed: must be less than or equal to 1"),
        ({"modle": "m"}, "--modle: unknown setting. Did you mean 'model'"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], message: str) -> None:
    base = {} if "missing" in message else {"model": "m", "tasks": ["a"]}
    with pytest.raises(VtbenchError, match=message):
        checked({**base, **values})


def test_a_file_is_read_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("# a run\nmodel: m\ntasks: [a]\nlimit: many\n")
    values, place = load(path)
    with pytest.raises(VtbenchError, match=r"run.yaml, line 4: limit: .*'many'"):
        checked(values, place)
    assert checked({**values, "limit": 3}).limit == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: m\ntaks: [a]\n", "run.yaml, line 2: unknown key 'taks'. Did you mean 'tasks'"),
        ("model: m\nmodel: n\n", "run.yaml, line 2: .*twice"),
        ("- model\n", "key: value"),
        ("model: [\n", "run.yaml, line 2"),
    ],
)
def test_a_bad_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(VtbenchError, match=message):
        load(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(VtbenchError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_redaction_hides_strings_by_key_at_any_depth() -> None:
    given = {"api_key": "a", "max_tokens": 5, "tokenizer": "path", "x": [{"HF_TOKEN": "b", "y": "c"}], "Password": "d"}
    assert redact(given) == {
        "api_key": "***",
        "max_tokens": 5,
        "tokenizer": "path",
        "x": [{"HF_TOKEN": "***", "y": "c"}],
        "Password": "***",
    }
    assert secrets(given) == {"a", "b", "d"}


def test_strict_and_differing() -> None:
    import numpy as np

    given = {"a": float("nan"), 2: (np.float32(0.5), np.int64(3)), "p": Path("x"), "s": {"b", "a"}, "i": float("-inf")}
    assert strict(given) == {"a": None, "2": [0.5, 3], "p": "x", "s": ["a", "b"], "i": None}
    assert differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 0}) == [
        "a.c (3 there, 2 here)",
        "d (0 there, nothing here)",
    ]
