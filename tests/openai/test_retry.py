"""When a request is repeated: `Retry-After`, exponential backoff, and errors that end the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint, Reply, error
from openai_runs import samples

from vtbench.errors import AdapterError, SampleError
from vtbench_openai import endpoint as requests
from vtbench_openai import retry

Make = Callable[..., Any]


def test_a_retry_after_is_seconds_or_a_date() -> None:
    assert retry.parse_retry_after("1.5") == 1.5
    assert retry.parse_retry_after(formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=1.1)
    assert retry.parse_retry_after(formatdate(time.time() - 30, usegmt=True)) == 0
    assert retry.parse_retry_after("-3") == 0
    for nothing in (None, "", "soon", "nan"):
        assert retry.parse_retry_after(nothing) is None


def test_waits_double_with_jitter_up_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.5)
    for attempt, longest in enumerate((0.5, 1, 2, 4, 8, 16, 32, 60, 60)):
        waits = [retry.backoff_seconds(attempt) for _ in range(200)]
        assert longest / 2 <= min(waits) < 0.6 * longest
        assert 0.9 * longest < max(waits) <= longest
    assert retry.backoff_seconds(0, "7") == 7
    assert retry.backoff_seconds(5, "0.1") >= 8, "the server asks for less than we would wait anyway"
    assert retry.backoff_seconds(0, "86400") == 60


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 529])
def test_a_transient_status_is_retried(make: Make, endpoint: FakeEndpoint, status: int) -> None:
    endpoint.odd = lambda _, time: error(status) if time < 3 else None
    assert make(retries=2).generate(samples(1), 5)[0].text in ("yes", "no")
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize("header", ["30", "date"])
def test_retry_after_is_honoured(
    make: Make, endpoint: FakeEndpoint, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of its own: what is slept is noted."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def busy(_: str, count: int) -> Reply | None:
        when = header if header != "date" else formatdate(time.time() + 30, usegmt=True)
        return error(429, "slow down", Retry_After=when) if count == 1 else None

    adapter = make()
    monkeypatch.setattr(requests, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    endpoint.odd = busy
    adapter.generate(samples(1), 5)
    assert len(endpoint.asked) == 2
    (seconds,) = slept
    assert 10 < seconds <= 31


def test_a_lost_connection_and_a_timeout_are_retried(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(timeout=2)
    endpoint.odd = lambda _, count: (Reply(status=0), Reply(after=4), None)[min(count, 3) - 1]
    assert adapter.generate(samples(1), 5)[0].text in ("yes", "no")
    assert len(endpoint.asked) == 3


def test_a_persistent_timeout_is_the_error(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(timeout=1, retries=1)
    endpoint.odd = lambda *_: Reply(after=3)
    with pytest.raises(SampleError, match=r"no answer after 2 tries in \d+ s: no answer within 1 s"):
        adapter.generate(samples(1), 5)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_not_retried(make: Make, endpoint: FakeEndpoint, status: int) -> None:
    adapter = make()
    endpoint.odd = lambda *_: error(status)
    with pytest.raises(SampleError, match=str(status)):
        adapter.generate(samples(1), 5)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (error(401), "requires a key"),
        (error(402, "no money"), "cannot pay"),
        (error(429, "insufficient_quota"), "cannot pay"),
        (error(404, "no such route"), "gives 404: no such route; base_url usually ends in /v1"),
        (Reply(307, headers={"Location": "http://elsewhere/"}), "redirects"),
    ],
)
def test_what_concerns_every_request_ends_the_run(make: Make, endpoint: FakeEndpoint, reply: Reply, what: str) -> None:
    adapter = make(concurrency=2)
    endpoint.odd, endpoint.delay = lambda question, _: reply if question == "question 1?" else None, 0.2
    with pytest.raises(AdapterError, match=what):
        adapter.generate(samples(30), 5)
    assert len(endpoint.asked) < 6, "the rest of the batch is not paid for"


def test_an_outage_costs_one_round_of_waiting(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(retries=3, concurrency=1)
    endpoint.odd = lambda *_: error(503)
    with pytest.raises(SampleError):
        adapter.generate(samples(5), 5)
    assert len(endpoint.asked) == 4 + 4, "the first was tried four times, the others once"
    endpoint.odd = lambda _, count: error(503) if count == 2 else None
    for sample in samples(2):
        endpoint.asked.clear()
        adapter.generate([sample], 5)
    endpoint.asked.clear()
    endpoint.odd = lambda _, count: error(503) if count == 1 else None
    adapter.generate(samples(1), 5)
    assert len(endpoint.asked) == 2, "it is up again, so a failure is tried again"
