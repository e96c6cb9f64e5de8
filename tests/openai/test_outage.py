"""When an endpoint fails everybody: the run ends with what was answered. When it fails one sample: the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from endpoint_fakes import PAGE, FakeEndpoint, Reply, completion, error
from openai_runs import samples

from vtbench.errors import AdapterError, ModelUnavailable, SampleError
from vtbench.types import Output, Sample
from vtbench_openai import endpoint as client

Make = Callable[..., Any]
CHECK = "Is it grey?"


def generate(adapter: Any, batch: list[Sample]) -> list[Output | SampleError]:
    """Return each sample's output or error, as the engine gets them: after a failure, one by one."""
    try:
        return list(adapter.generate(batch, 5))
    except SampleError:
        found: list[Output | SampleError] = []
        for sample in batch:
            try:
                found += adapter.generate([sample], 5)
            except SampleError as error:
                found.append(error)
        return found


def failed(found: list[Output | SampleError]) -> list[int]:
    return [i for i, each in enumerate(found) if isinstance(each, SampleError)]


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (error(401), "requires a key"),
        (error(403), "requires a key"),
        (error(402, "no money"), "cannot pay"),
        (error(429, "insufficient_quota"), "cannot pay"),
        (error(404, "no such route"), "gives 404: no such route; base_url usually ends in /v1"),
        (Reply(307, headers={"Location": "http://elsewhere/"}), "redirects"),
        (error(503, "loading"), "is not ready: 503 loading"),
        (PAGE, "is not ready: the response is no chat completion, but a web page"),
        (Reply(body='{"error": {"code": 401, "message": "who?"}}'), "requires a key"),
    ],
)
def test_what_concerns_every_request_ends_the_run_at_once(
    make: Make, endpoint: FakeEndpoint, reply: Reply, what: str
) -> None:
    endpoint.odd = lambda *_: reply
    with pytest.raises(AdapterError, match=what) as caught:
        make(retries=1)
    assert "\n" not in str(caught.value)
    assert len(endpoint.asked) <= 2 + client.CHECK_TRIES


@pytest.mark.parametrize("reply", [error(402, "no money"), error(429, "insufficient_quota")])
def test_an_account_that_runs_out_keeps_what_was_answered(make: Make, endpoint: FakeEndpoint, reply: Reply) -> None:
    adapter = make(concurrency=2)
    endpoint.odd = lambda *_: reply if len(endpoint.asked) > 5 else None
    found = generate(adapter, samples(12))
    assert len(failed(found)) == 7
    assert all(error.transient for error in found if isinstance(error, SampleError))
    assert len(endpoint.asked) <= 7, "the rest of the batch is not asked"
    with pytest.raises(AdapterError, match="cannot pay"):
        adapter.generate(samples(1), 5)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_one_sample_is_its_own(make: Make, endpoint: FakeEndpoint, status: int) -> None:
    adapter = make(concurrency=1)
    endpoint.odd = lambda question, _: error(status, "not this") if question in ("question 1?", "question 4?") else None
    assert failed(generate(adapter, samples(8))) == [1, 4]
    assert set(endpoint.questions().values()) == {1}


def test_many_refused_samples_in_a_row_do_not_end_the_run_if_others_are_answered(
    make: Make, endpoint: FakeEndpoint
) -> None:
    adapter = make(concurrency=1)
    endpoint.odd = lambda question, _: None if question in (CHECK, "question 11?") else error(403)
    assert failed(generate(adapter, samples(12))) == list(range(11))
    assert endpoint.questions()[CHECK] == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusals_of_everything_end_the_run(make: Make, endpoint: FakeEndpoint, status: int) -> None:
    adapter = make(concurrency=1)
    endpoint.odd = lambda *_: error(status) if len(endpoint.asked) > 3 else None
    assert len(failed(generate(adapter, samples(30)))) == 27
    assert len(endpoint.asked) == 3 + client.SUSPICIOUS + 1, "they raise suspicion, and the check confirms it"
    with pytest.raises(AdapterError, match=str(status)):
        adapter.generate(samples(1), 5)


@pytest.mark.parametrize("reply", [error(500), error(503), error(429), Reply(status=0), PAGE, Reply(body="")])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_outage_costs_one_round_of_waiting(
    make: Make, endpoint: FakeEndpoint, reply: Reply, concurrency: int
) -> None:
    adapter = make(retries=2, concurrency=concurrency)
    endpoint.odd = lambda *_: reply if len(endpoint.asked) > 4 else None
    found = generate(adapter, samples(100))
    assert len(failed(found)) == 96
    assert all(error.transient for error in found if isinstance(error, SampleError))
    assert len(endpoint.asked) <= 4 + 3 * (client.SUSPICIOUS + concurrency) + client.CHECK_TRIES
    with pytest.raises(ModelUnavailable, match="went away: "):
        adapter.generate(samples(1), 5)


def test_a_batch_without_any_answer_ends_the_run_at_once(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(retries=0)
    endpoint.odd = lambda *_: error(502)
    with pytest.raises(ModelUnavailable, match="went away: 502"):
        adapter.generate(samples(20), 5)


def test_no_connection_is_an_outage_at_once(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(retries=1, concurrency=1)
    adapter.generate(samples(1), 5)
    endpoint.stop()
    with pytest.raises(ModelUnavailable, match="went away: connection refused"):
        adapter.generate(samples(50), 5)


def test_a_short_outage_heals_by_itself(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(concurrency=4)
    endpoint.odd = lambda _, count: error(503) if count <= 4 else None
    assert failed(generate(adapter, samples(12))) == []


def test_a_server_that_fails_on_some_samples_is_not_down(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(retries=1, concurrency=1)
    endpoint.odd = lambda question, _: error(500) if question != CHECK else None
    found = generate(adapter, samples(12))
    assert failed(found) == list(range(12))
    assert not any("not asked" in str(error) for error in found)
    assert adapter._endpoint.stopped is None


def test_a_server_that_hangs_costs_a_bounded_time(
    make: Make, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0)
    adapter = make(timeout=0.3, concurrency=2, retries=50)
    adapter.generate(samples(2), 5)
    endpoint.odd = lambda *_: Reply(after=1.0)
    with pytest.raises(ModelUnavailable, match=r"no answer within 0\.3 s"):
        adapter.generate(samples(40), 5)
    assert len(endpoint.asked) <= 2 + 2 * (client.TIMEOUT_RETRIES + 1) + 1


def test_a_body_that_trickles_is_a_timeout(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(timeout=0.5, retries=0)
    trickle = Reply(body=" ", endless=True, after=0.05)
    endpoint.odd = lambda question, _: trickle if question == "question 1?" else None
    found = generate(adapter, samples(3))
    assert failed(found) == [1]
    assert str(found[1]).endswith("no answer within 0.5 s")


def test_an_error_of_the_code_about_one_sample_keeps_the_others(make: Make, endpoint: FakeEndpoint) -> None:
    adapter, batch = make(), samples(4)
    batch[2].images[0].close()
    object.__setattr__(batch[2], "images", (None,))
    assert failed(generate(adapter, batch)) == [2]
    assert set(endpoint.questions().values()) == {1}


def test_a_lone_surrogate_in_a_question_is_sent_as_an_escape(make: Make, endpoint: FakeEndpoint) -> None:
    (sample,) = samples(1)
    object.__setattr__(sample, "prompt", "half \ud83d")
    endpoint.odd = lambda question, _: completion(question) if "half" in question else None
    assert make().generate([sample], 5)[0].text == "half \\ud83d"
