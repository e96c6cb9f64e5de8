"""A local endpoint in a thread that serves OpenAI chat completions and fails on demand.

Its tokens are characters. Its answer is "yes" or "no" by a hash of the message. With `scores` it returns
log-probabilities of prompts, as vLLM's server does.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """An HTTP response in place of the model's answer. Status 0 closes the connection without one."""

    status: int = 200
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0
    """Seconds."""
    endless: bool = False
    """Repeat the body until the client closes the connection."""


def error(status: int, said: str = "no", **headers: str) -> Reply:
    """Return an error in the format of OpenAI; `retry_after="1"` is a header."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps({"error": {"message": said, "code": said}}), names)


PAGE = Reply(body="<html><title>x</title><h1>Welcome</h1></html>", headers={"Content-Type": "text/html"})


def completion(content: Any = "yes", finish: Any = "stop", tokens: Any = 2, prompt: Any = 10, **message: Any) -> Reply:
    """Return a chat completion; `message` has further fields of the assistant's message."""
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": prompt, "completion_tokens": tokens}
    return Reply(body=json.dumps({"choices": [choice], "usage": usage}))


@dataclass
class FakeEndpoint:
    """Behaviour of the endpoint, and the requests it received."""

    models: tuple[str, ...] | None = ("tiny", "large")
    """None: the endpoint has no list of models."""
    key: str | None = None
    scores: bool = False
    delay: float = 0.0
    opening: str = ""
    """Text that the chat template inserts before an answer, but not before a prefilled one."""
    listed: Reply | None = None
    """A reply in place of the list of models."""
    odd: Callable[[str, int], Reply | None] = lambda question, time: None
    """Given a question and how often it was asked, from 1: a reply in place of the model's, or None."""
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests, in their order."""
    answered: Counter[str] = field(default_factory=Counter)
    """How often each question was answered with status 200, web pages left out."""
    keys: set[str | None] = field(default_factory=set)
    most: int = 0
    """Largest number of concurrent requests."""
    stop: Callable[[], None] = lambda: None
    """Stop serving; pending requests are not answered."""
    _counts: Counter[str] = field(default_factory=Counter)
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def questions(self) -> Counter[str]:
        """Return how often each question was asked, ranking left out."""
        return Counter(question(body) for body in self.asked if "prompt_logprobs" not in body)

    def answer(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            self.asked.append(body)
            self._now += 1
            self.most = max(self.most, self._now)
            text = question(body)
            self._counts[text] += 1
            count = self._counts[text]
        try:
            odd = self.odd(text, count)
            time.sleep(odd.after if odd else self.delay)
            return odd or self._complete(body)
        finally:
            with self._lock:
                self._now -= 1

    def _complete(self, body: dict[str, Any]) -> Reply:
        if self.models is not None and body["model"] not in self.models:
            return error(404, f"The model `{body['model']}` does not exist.")
        *before, last = body["messages"]
        begun = last["role"] == "assistant"
        asked = before if begun else body["messages"]
        shown, prompt = "".join(map(json.dumps, asked)), f"{''.join(map(written, asked))} ASSISTANT:"
        if begun and body["continue_final_message"] and not body["add_generation_prompt"]:
            prompt += " " + last["content"]
        else:
            prompt += self.opening
        reply: dict[str, Any] = {
            "model": body["model"],
            "choices": [{"message": {"content": " yes" if number(shown) < 0.5 else " no"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": len(prompt), "completion_tokens": 2},
        }
        if self.scores and "prompt_logprobs" in body:
            rows = [{str(ord(c)): {"logprob": -number(shown, prompt[:i])}} for i, c in enumerate(prompt)]
            reply["prompt_logprobs"] = [None, *rows[1:]]
        return Reply(body=json.dumps(reply))


def question(body: dict[str, Any]) -> str:
    last = [message for message in body["messages"] if message["role"] == "user"][-1]
    text: str = last["content"][-1]["text"]
    return text


def written(message: dict[str, Any]) -> str:
    """Return the text of a message."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def number(*parts: str) -> float:
    """Return a number in [0, 1) that is a hash of the parts."""
    return int.from_bytes(sha256("|".join(parts).encode()).digest()[:6], "big") / 2**48


@contextmanager
def serve(endpoint: FakeEndpoint, port: int = 0) -> Iterator[FakeEndpoint]:
    """Serve it, at `endpoint.url`, which has the port if one is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            known = endpoint.models
            listed = json.dumps({"data": [{"id": name, "root": f"/models/{name}"} for name in known or ()]})
            self._send(endpoint.listed or (error(404) if known is None else Reply(body=listed)))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = endpoint.answer(body)
            if reply.status == 200 and reply != PAGE and not gone.is_set():
                endpoint.answered[question(body)] += 1
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            given = self.headers["Authorization"]
            endpoint.keys.add(given)
            if endpoint.key and given != f"Bearer {endpoint.key}":
                reply = error(401, f"wrong key: {given}")
            if reply.status == 0 or gone.is_set():
                self.close_connection = True
                return
            content = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header(*(("Connection", "close") if reply.endless else ("Content-Length", str(len(content)))))
            self.end_headers()
            self.wfile.write(content)
            while reply.endless and not gone.is_set():
                self.wfile.write(content)
                time.sleep(reply.after)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client has given up
                super().handle()

    gone = threading.Event()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()

    def stop() -> None:
        gone.set()  # connections that are open are not closed with the port
        server.shutdown()
        server.server_close()

    endpoint.url, endpoint.stop = f"http://127.0.0.1:{server.server_port}/v1", stop
    try:
        yield endpoint
    finally:
        stop()
        thread.join()
