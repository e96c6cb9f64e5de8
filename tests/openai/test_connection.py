"""Certificates and proxies that the environment names: what is wrong with them is one line that names the variable."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint, Reply, serve

import vtbench_openai
from vtbench.errors import AdapterError

Make = Callable[..., Any]


def message(**arguments: Any) -> str:
    with pytest.raises(AdapterError) as caught:
        vtbench_openai.openai(**{"model": "tiny", "retries": 0, **arguments})
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def closed() -> str:
    """URL of a port at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}"


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_certificate_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, closed: str
) -> None:
    path = tmp_path / "certificates.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert f"SSL_CERT_FILE {path}: no certificates to be read there" in message(base_url=f"{closed}/v1")


def test_a_certificate_folder_in_place_of_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert f"SSL_CERT_FILE {tmp_path}: no certificates" in message(base_url=f"{closed}/v1")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_way_is_named(variable: str, monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv(variable, closed.replace("://", "://me:hunter22@"))
    said = message(base_url="http://model.example/v1")
    assert f"does not respond (connection refused) through the proxy in {variable}; NO_PROXY=<host>" in said
    assert "hunter22" not in said


def test_a_proxy_that_is_not_used_is_not_named(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert "proxy" not in message(base_url=f"{closed}/v1")


@pytest.mark.parametrize("status", [403, 407, 503])
def test_a_refusal_of_a_proxy_is_named(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(FakeEndpoint(listed=Reply(status, "denied"), odd=lambda *_: Reply(status, "denied"))) as proxy:
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        assert "through the proxy in HTTP_PROXY" in message(base_url="http://model.example/v1")


@pytest.mark.parametrize("proxy", ["ftp://host", "host:port", "socks5://127.0.0.1:9", "http://[::"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY")
    assert "HTTP_PROXY: no proxy that can be used" in message(base_url=f"{closed}/v1")


@pytest.mark.parametrize("extra", [{"top_p": float("nan")}, {"when": object()}])
def test_fields_that_no_json_can_hold_are_refused(extra: dict[str, Any], closed: str) -> None:
    assert "extra: these fields cannot be sent as JSON" in message(base_url=f"{closed}/v1", extra=extra)


def test_a_name_that_does_not_exist_is_one_line() -> None:
    assert "does not respond" in message(base_url="http://no-such-host.invalid/v1")
