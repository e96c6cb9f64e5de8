"""Which values of a config are secrets, and their removal from texts in every encoding."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.cli import status
from vtbench.registry import Registry
from vtbench.runs.secrets import HIDDEN, SecretFilter, environment_secrets, mask, redact, secrets
from vtbench.runs.writer import RunWriter

KEY = "zq-Very/secret+0123=="

NAMES = ("api_key", "apikey", "x-api-key", "Authorization", "bearer", "cookie", "passwd", "password", "token", "secret")
keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
escapes = st.sampled_from(
    [
        str,
        "\\u{:04x}".format,
        "\\u{:04X}".format,
        "\\\\u{:04x}".format,
        "%{:02x}".format,
        "%{:02X}".format,
        "&#{};".format,
    ]
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "shape",
    [
        lambda name: {name: KEY},
        lambda name: {"extra": {"headers": {name: KEY}, "n": 3}},
        lambda name: {"headers": [[name, KEY], ["accept", "json"]]},
        lambda name: {"extra_body": [{"deep": [{name: KEY}]}]},
    ],
)
def test_a_secret_is_found_by_its_name_at_any_depth(name: str, shape: Any) -> None:
    given = shape(name)
    assert KEY not in json.dumps(redact(given))
    assert KEY in secrets(given)


@pytest.mark.parametrize(
    ("given", "hidden"),
    [
        ({"api_keys": [KEY, "another-secret"]}, {KEY, "another-secret"}),
        ({"headers": [{"name": "Authorization", "value": f"Bearer {KEY}"}]}, {KEY, f"Bearer {KEY}"}),
        ({"headers": ["Authorization: Bearer abcdef0123"]}, {"abcdef0123"}),
        ({"passwd": 123456}, {"123456"}),
        ({"proxy": "http://me:hunter22@host:1/v1"}, {"hunter22"}),
        ({"note": "sk-proj-abcdefghijklmnop1234"}, {"sk-proj-abcdefghijklmnop1234"}),
        ({"auth": {"user": "someone"}}, {"someone"}),
    ],
)
def test_a_secret_is_found_by_its_form_or_its_label(given: dict[str, Any], hidden: set[str]) -> None:
    assert secrets(given) == hidden
    assert not any(secret in json.dumps(redact(given)) for secret in hidden)


def test_ordinary_settings_stay() -> None:
    given = {"max_tokens": 5, "tokenizer": "path", "special_tokens": ["</s>"], "x": [["a", "b"]], "eos_token_id": 2}
    assert redact(given) == given
    assert secrets(given) == set()


@settings(deadline=None)
@given(keys, st.lists(escapes, min_size=40, max_size=40))
def test_a_secret_is_hidden_in_any_mixture_of_escapes(key: str, forms: list[Any]) -> None:
    text = "".join(form(ord(c)) if form is not str else c for form, c in zip(forms, key, strict=False))
    assert SecretFilter([key])(f"<<{text}>>") == f"<<{HIDDEN}>>"


@settings(deadline=None)
@given(keys, st.binary(max_size=5), st.binary(max_size=5))
def test_a_secret_is_hidden_in_base64_wherever_it_begins(key: str, before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        plain = encode(before + key.encode() + after).decode()
        left = SecretFilter([key])(plain)
        assert HIDDEN in left
        assert len(left) - len(HIDDEN) <= len(plain) - len(key), "at most the characters at both ends are left"


def test_a_secret_is_hidden_in_json_percent_and_hexadecimal() -> None:
    hide = SecretFilter([KEY])
    assert hide(quote(KEY, safe="")) == HIDDEN
    assert hide(json.dumps(json.dumps(KEY)).replace("/", "\\/")) == f'"\\"{HIDDEN}\\""'
    assert hide(KEY.encode().hex()) == HIDDEN


def test_keys_of_the_environment_are_secrets_and_words_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    given = {"HF_TOKEN": KEY, "MY_API_KEY": "left-or-right", "PUBLIC_KEY_PATH": f"/{KEY}", "DB_PASSWORD": "abc1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert environment_secrets() == {KEY}


def test_short_secrets_stay_as_they_may_be_words() -> None:
    assert SecretFilter(["left", ""])("left of it") == "left of it"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("api_key=[abcdef is not YAML", "api_key=[*** is not YAML"),
        ("extra={headers: {authorization: Bearer abcdef-1", "extra={headers: {authorization: Bearer ***"),
        ('{"password": "hunter22"}', '{"password": "***"}'),
        ("at http://me:pw@host/v1", "at http://me:***@host/v1"),
        ("the key abc of max_tokens: 8000, key_env: MY_KEY", "the key abc of max_tokens: 8000, key_env: MY_KEY"),
    ],
)
def test_what_has_the_form_of_a_secret_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_no_file_of_a_run_holds_a_secret_in_an_escape(tmp_path: Path) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
    writer = RunWriter(tmp_path, {"run_id": "x"}, frozenset({KEY, "nine-lives"}))
    writer.write("results.json", {"a": f"said {escaped}", "b": [KEY], "c": "\nine-lives", KEY: 1})
    writer.close()
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored == {"a": f"said {HIDDEN}", "b": [HIDDEN], "c": "\nine-lives", HIDDEN: 1}


@pytest.mark.parametrize(
    "given",
    [f"api_key=[{KEY}", "extra={headers: {authorization: Bearer " + KEY, f"password={KEY}: : x", f"token {KEY}"],
)
def test_a_broken_argument_with_a_key_does_not_show_it(
    given: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    assert (
        status(["--debug", "run", "--model", "echo", "--tasks", "relational", "--model-args", given], Registry()) == 2
    )
    said = capfd.readouterr()
    assert "zq-Very" not in said.out + said.err
