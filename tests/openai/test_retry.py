"""When a request is repeated: `Retry-After`, exponential backoff, and errors that end the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint, Reply, error
from openai_runs import samples

from vtbench.errors import SampleError
from vtbench_openai import retry
from vtbench_openai.endpoint import Endpoint

Make = Callable[..., Any]


def test_a_retry_after_is_seconds_or_a_date() -> None:
    assert retry.parse_retry_after("1.5") == 1.5
    assert retry.parse_retry_after(formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=1.1)
    assert retry.parse_retry_after(formatdate(time.time() - 30, usegmt=True)) == 0
    assert retry.parse_retry_after("-3") == 0
    for nothing in (None, "", "soon", "nan", "Wed, 21 Oct 99999 07:28:00 GMT", "Wed, 99 Oct 2015 99:28:00 GMT"):
        assert retry.parse_retry_after(nothing) is None


def test_waits_double_with_jitter_up_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.5)
    for attempt, longest in enumerate((0.5, 1, 2, 4, 8, 16, 32, 60, 60)):
        waits = [retry.backoff_seconds(attempt) for _ in range(200)]
        assert longest / 2 <= min(waits) < 0.6 * longest
        assert 0.9 * longest < max(waits) <= longest
    assert retry.backoff_seconds(0, "7") == 7
    assert retry.backoff_seconds(5, "0.1") >= 8, "the server asks for less than we would wait anyway"
    for absurd in ("86400", "inf", "1e400", "Wed, 21 Oct 9999 07:28:00 GMT"):
        assert retry.backoff_seconds(0, absurd) == 60


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
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

    async def pause(_: Endpoint, seconds: float) -> None:
        slept.append(seconds)

    def busy(_: str, count: int) -> Reply | None:
        when = header if header != "date" else formatdate(time.time() + 30, usegmt=True)
        return error(429, "slow down", Retry_After=when) if count == 1 else None

    adapter = make()
    monkeypatch.setattr(Endpoint, "_pause", pause)
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
