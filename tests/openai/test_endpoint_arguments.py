"""Invalid arguments: a one-line error for each, without any secret."""

from __future__ import annotations

import doctest
from types import ModuleType
from typing import Any

import pytest
from openai_runs import KEY

import vtbench_openai
from vtbench.errors import AdapterError
from vtbench_openai import arguments, endpoint, retry

FINE = {"base_url": "http://127.0.0.1:9/v1", "model": "tiny"}


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"base_url": None}, "needs an endpoint: --model-args base_url="),
        ({"base_url": "127.0.0.1:8000"}, "base_url: must be a URL like"),
        ({"base_url": "http://host:port/v1"}, "base_url: must be a URL like"),
        ({"concurrency": 0}, "concurrency: must be greater than or equal to 1, not 0"),
        ({"concurrency": "many"}, "concurrency: must be a valid integer, .*not 'many'"),
        ({"retries": -1}, "retries: .*not -1"),
        ({"timeout": 0}, "timeout: .*not 0"),
        ({"price_in": -2}, "price_in: .*not -2"),
        ({"image_size": 0}, "image_size: .*not 0"),
        ({"extra": "seed"}, "extra: .*not 'seed'"),
        ({"key_env": "NO_SUCH_KEY"}, "key_env: the environment variable NO_SUCH_KEY is not set"),
        ({}, r"http://127.0.0.1:9/v1 does not respond \(connection refused\); start the server, or correct base_url="),
    ],
)
def test_an_invalid_argument_is_one_line(wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(AdapterError, match=what) as caught:
        vtbench_openai.openai(**{**FINE, **wrong})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_env": KEY},
        {"base_url": f"http://me:{KEY}@127.0.0.1:9/v1"},
        {"base_url": f"http://127.0.0.1:9/v1?key={KEY}"},
    ],
)
def test_a_key_as_another_argument_is_refused_and_not_repeated(wrong: dict[str, Any]) -> None:
    with pytest.raises(AdapterError, match="environment variable") as caught:
        vtbench_openai.openai(**{**FINE, **wrong})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["päss", "two\nlines"])
def test_a_key_that_no_header_can_hold_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(AdapterError, match="the value of OPENAI_API_KEY is not a key") as caught:
        vtbench_openai.openai(**FINE)
    assert key not in str(caught.value)


@pytest.mark.parametrize("module", [retry, arguments, endpoint])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
