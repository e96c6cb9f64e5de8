"""Endpoints that fail in every way: each sample is answered or has a reason, and nothing is asked twice.

The endpoint is a server on this machine that counts what it was asked and what it answered. An outage of 20 s is healed
by `--resume`.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from endpoint_fakes import PAGE, FakeEndpoint, Reply, completion, error, serve
from PIL import Image

import vtbench
from vtbench.errors import ModelUnavailable
from vtbench_openai import retry

SAMPLES, RETRIES = 600, 3
PRICE_IN, PRICE_OUT = 3.0, 7.0
TOKENS_IN, TOKENS_OUT = 10, 2
OUTAGE_SECONDS = 20.0
CHECK = "Is it grey?"


@dataclass(frozen=True)
class Fault:
    """What the endpoint does with a question.

    Args:
        reply: in place of the model's, for the first `times` requests.
        times: as often.
        output: what the run stores, None for a failed sample.
        reason: what a failed sample's error says.
        transient: whether a failed sample is asked again by `--resume`.
    """

    reply: Reply
    times: int = 1
    output: str | None = "yes"
    reason: str = ""
    transient: bool = False

    @property
    def requests(self) -> int:
        """Number of requests that it takes."""
        if self.transient:
            return RETRIES + 1
        return 1 if self.times > RETRIES else self.times + 1


def passes(reply: Reply, times: int = 1) -> Fault:
    """Return a fault that a retry heals."""
    return Fault(reply, times)


def answers(reply: Reply, output: str) -> Fault:
    """Return an answer in an odd form."""
    return Fault(reply, SAMPLES, output)


def refuses(reply: Reply, reason: str) -> Fault:
    """Return a refusal, which a retry does not heal."""
    return Fault(reply, SAMPLES, None, reason)


def lasts(reply: Reply, reason: str) -> Fault:
    """Return a fault that outlasts the retries."""
    return Fault(reply, SAMPLES, None, reason, transient=True)


def in_200(**fields: Any) -> Reply:
    return Reply(body=json.dumps({"error": fields}))


LOST = Reply(status=0)
HANGS = Reply(status=0, after=2.0)
FAULTS = (
    passes(error(429, "slow down", retry_after="0.01")),
    passes(error(429, "slow down", retry_after="-5"), 2),
    passes(error(408)),
    passes(error(409, "loading")),
    passes(error(500), 3),
    passes(error(502)),
    passes(error(503), 2),
    passes(error(529)),
    passes(LOST, 2),
    passes(PAGE),
    passes(Reply(body="")),
    passes(in_200(message="Rate limit exceeded", code=429), 2),
    passes(in_200(type="overloaded_error")),
    passes(completion("no", "error")),
    passes(Reply(body=gzip.compress(b"{}" * 99)[:-9], headers={"Content-Encoding": "gzip"})),
    answers(completion([{"type": "thinking", "thinking": "no"}, {"type": "text", "text": "yes"}]), "yes"),
    answers(completion("The answer is", "length"), "The answer is"),
    answers(completion(None, "length", reasoning_content="no"), ""),
    answers(completion(None, refusal="I cannot help."), "I cannot help."),
    answers(completion("half \ud83d"), "half \\ud83d"),
    answers(Reply(body=b"\xef\xbb\xbf" + str(completion("yes").body).encode()), "yes"),
    answers(Reply(body=str(completion("yes").body).encode("utf-16")), "yes"),
    answers(
        Reply(body=gzip.compress(str(completion("yes").body).encode()), headers={"Content-Encoding": "gzip"}), "yes"
    ),
    refuses(error(400, "too long"), "(400): too long"),
    refuses(error(403, "flagged by moderation"), "(403): flagged by moderation"),
    refuses(Reply(413, "<h1>413 Request Entity Too Large</h1>"), "(413): 413 Request Entity Too Large"),
    refuses(error(422, "no image"), "(422): no image"),
    refuses(in_200(message="bad image", code=400), "(400): bad image"),
    refuses(completion("I", "content_filter"), "content filter"),
    refuses(completion(None, "stop"), "without text"),
    refuses(Reply(body="data: {}"), "not JSON"),
    refuses(Reply(body='{"choices": null}'), "choices"),
    refuses(Reply(body="[" * 100_000), "nested too deeply"),
    refuses(Reply(body='{"choices": [{"message": {"content": "\xe9"}}]}'.encode("latin-1")), "UTF-8"),
    lasts(error(500, "no luck"), "500 no luck"),
    lasts(error(429, "slow down", retry_after="0"), "429 slow down"),
    lasts(LOST, "no answer after 4 tries"),
    lasts(in_200(message="upstream", code=502), "502 upstream"),
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, and no proxy between the run and its endpoint."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with serve(FakeEndpoint(models=("tiny",))) as served:
        yield served


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs the questions against an endpoint, given further settings of the run."""
    Image.new("RGB", (8, 8), (200, 30, 30)).save(tmp_path / "red.png")
    rows = [
        {"image": "red.png", "prompt": f"question {i}?", "target": "yes", "choices": ["yes", "no"]}
        for i in range(SAMPLES)
    ]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = tmp_path / "quiz.yaml"
    task.write_text("task: quiz\ndata: {path: quiz.jsonl, choices: choices}\nmetrics: [accuracy]\n")

    def go(url: str, arguments: dict[str, Any], **settings: Any) -> Any:
        given = {"base_url": url, "model": "tiny", **arguments}
        output = str(tmp_path / "out")
        return vtbench.run(model="openai", model_args=given, tasks=[str(task)], output=output, report=False, **settings)

    return go


def stored(directory: Path) -> list[dict[str, Any]]:
    """Return the stored samples of the one run in a directory, by index."""
    (path,) = directory.glob("out/*/samples.jsonl")
    return sorted(map(json.loads, path.read_text(encoding="utf-8").splitlines()), key=lambda line: line["index"])


def number(question: str) -> int:
    return int(question.removeprefix("question ").removesuffix("?"))


def test_600_faults_are_accounted_for_exactly(
    endpoint: FakeEndpoint, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.002)

    def odd(question: str, count: int) -> Reply:
        if question == CHECK:
            return completion("yes")
        fault = FAULTS[number(question) % len(FAULTS)]
        return fault.reply if count <= fault.times else completion("yes")

    endpoint.odd = odd
    arguments = {"retries": RETRIES, "concurrency": 16, "price_in": PRICE_IN, "price_out": PRICE_OUT, "timeout": 30}
    result = run(endpoint.url, arguments, batch_size=64)
    lines = stored(tmp_path)
    assert [line["index"] for line in lines] == list(range(SAMPLES))
    asked, answered = endpoint.questions(), 0
    for line in lines:
        fault = FAULTS[line["index"] % len(FAULTS)]
        assert asked[line["prompt"]] == fault.requests, fault
        assert line["output"] == fault.output, fault
        assert (line["error"] is None) == (fault.output is not None), fault
        assert line["transient"] == fault.transient, fault
        if fault.output is None:
            assert fault.reason in line["error"]
            assert (line["tokens_in"], line["cost"]) == (None, None)
        else:
            answered += 1
            assert (line["tokens_in"], line["tokens_out"]) == (TOKENS_IN, TOKENS_OUT)
            assert line["cost"] == pytest.approx((TOKENS_IN * PRICE_IN + TOKENS_OUT * PRICE_OUT) / 1e6)
    assert result.document["failed"] == {"quiz": SAMPLES - answered}
    spent = result.document["spent"]["quiz"]
    assert (spent["tokens_in"], spent["tokens_out"]) == (TOKENS_IN * answered, TOKENS_OUT * answered)
    assert spent["cost"] == pytest.approx(answered * (TOKENS_IN * PRICE_IN + TOKENS_OUT * PRICE_OUT) / 1e6)


def check_healed(directory: Path, answered: Counter[str], before: set[str]) -> None:
    """Check that each sample was answered once, and those of `before` not again."""
    lines = stored(directory)
    assert [line["index"] for line in lines] == list(range(SAMPLES))
    assert [line["error"] for line in lines if line["error"]] == []
    asked = {question: count for question, count in answered.items() if question.startswith("question")}
    assert len(asked) == SAMPLES
    assert {question for question, count in asked.items() if count > 1} == set()
    assert before <= asked.keys()


def answered_lines(directory: Path) -> set[str]:
    return {line["prompt"] for line in stored(directory) if not line["error"]}


def test_an_outage_of_20_seconds_is_healed_by_resume(
    endpoint: FakeEndpoint, run: Callable[..., Any], tmp_path: Path
) -> None:
    """With the settings that a user has: the endpoint stops in the middle of the run, and is back after 20 s."""
    endpoint.delay = 0.02
    stopped: list[float] = []

    def stop() -> None:
        while sum(endpoint.answered.values()) < 200:
            time.sleep(0.01)
        stopped.append(time.monotonic())
        endpoint.stop()

    watcher = threading.Thread(target=stop)
    watcher.start()
    with pytest.raises(ModelUnavailable, match="went away: connection refused"):
        run(endpoint.url, {}, batch_size=32)
    watcher.join()
    before = answered_lines(tmp_path)
    assert before == {question for question in endpoint.answered if question != CHECK}
    assert len(before) >= 150
    time.sleep(max(0.0, stopped[0] + OUTAGE_SECONDS - time.monotonic()))
    port = int(endpoint.url.split(":")[2].partition("/")[0])
    with serve(replace(endpoint), port) as back:
        result = run(back.url, {}, batch_size=32, resume=True)
    check_healed(tmp_path, back.answered, before)
    assert result.document["failed"] == {"quiz": 0}


@pytest.mark.parametrize("reply", [error(503, "down"), error(429, "busy"), LOST, PAGE, HANGS, error(401)])
def test_an_endpoint_that_fails_everybody_for_a_while_is_healed_by_resume(
    endpoint: FakeEndpoint,
    run: Callable[..., Any],
    tmp_path: Path,
    reply: Reply,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It refuses, hangs or closes connections from one moment on, and is well again for the second run."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.01)
    gone = threading.Event()

    def odd(question: str, _: int) -> Reply | None:
        if sum(endpoint.answered.values()) >= 150:
            gone.set()
        return reply if gone.is_set() else None

    endpoint.odd = odd
    arguments = {"retries": 2, "timeout": 1.0}
    with pytest.raises(ModelUnavailable):
        run(endpoint.url, arguments, batch_size=32)
    asked = len(endpoint.asked)
    assert asked < 300, "the endpoint is not asked about all samples in vain"
    endpoint.odd = lambda *_: None
    before = answered_lines(tmp_path)
    assert before
    result = run(endpoint.url, arguments, batch_size=32, resume=True)
    check_healed(tmp_path, endpoint.answered, before)
    assert result.document["failed"] == {"quiz": 0}


def test_a_short_outage_heals_by_itself(endpoint: FakeEndpoint, run: Callable[..., Any], tmp_path: Path) -> None:
    """With the settings that a user has: the endpoint is away for 2 s."""
    began: list[float] = []

    def odd(question: str, _: int) -> Reply | None:
        if not began and sum(endpoint.answered.values()) >= 100:
            began.append(time.monotonic())
        return LOST if began and time.monotonic() < began[0] + 2 else None

    endpoint.odd = odd
    result = run(endpoint.url, {}, batch_size=32)
    check_healed(tmp_path, endpoint.answered, set())
    assert result.document["failed"] == {"quiz": 0}
