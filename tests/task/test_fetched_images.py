"""Images by URL: fetched once, kept, and each failure one line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from stored_data import png

from vtbench.errors import SampleError
from vtbench.task import fetched_images
from vtbench.task.fetched_images import fetch_image


class Server(HTTPServer):
    """Serves a red square at every path but `/gone.png`, and notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(404 if "gone" in self.path else 200)
        self.end_headers()
        self.wfile.write(png("red"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def test_an_image_is_fetched_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [fetch_image(server.url("a.png")) for _ in range(2)] == [png("red")] * 2
    assert server.asked == ["/a.png"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch_image(server.url("a.png")) == png("red")
    with pytest.raises(SampleError, match=r"cannot fetch .*b.png: HF_HUB_OFFLINE is set, and .* does not have it"):
        fetch_image(server.url("b.png"))
    assert server.asked == ["/a.png"]


def test_what_cannot_be_fetched_is_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SampleError, match=r"cannot fetch http://.*gone.png: .*Not Found"):
        fetch_image(server.url("gone.png"))
    monkeypatch.setattr(fetched_images, "MOST_BYTES", 10)
    with pytest.raises(SampleError, match="it has more than"):
        fetch_image(server.url("large.png"))
    with pytest.raises(SampleError, match=r"cannot fetch http:.*a.png: "):
        fetch_image("http://127.0.0.1:1/a.png")
