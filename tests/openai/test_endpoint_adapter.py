"""Requests of the adapter, its outputs, and the number of requests that they take."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint, Reply, error, number
from openai_runs import KEY, samples
from PIL import Image

from vtbench.adapter import Generation
from vtbench.errors import AdapterError, SampleError

Make = Callable[..., Any]


def test_a_request_has_the_exact_pixels_and_the_prompt_alone(make: Make, endpoint: FakeEndpoint) -> None:
    (sample,) = samples(1)
    make(extra={"seed": 7, "temperature": None}).generate([sample], 5)
    (body,) = endpoint.asked
    image, question = body.pop("messages")[0]["content"]
    assert body == {"model": "tiny", "max_tokens": 5, "seed": 7}
    assert question == {"type": "text", "text": sample.prompt}
    scheme, _, data = image["image_url"]["url"].partition(",")
    assert scheme == "data:image/png;base64"
    assert Image.open(BytesIO(base64.b64decode(data))).tobytes() == sample.images[0].tobytes()


def test_outputs_have_the_order_of_the_batch_and_token_counts(make: Make, endpoint: FakeEndpoint) -> None:
    batch = samples(12)
    endpoint.odd = lambda question, _: Reply(after=0.1, body=said(question)) if question == "question 0?" else None
    outputs = make(price_in=1, price_out=1e6).generate(batch, 5)
    assert outputs[0].text == "question 0?"
    assert {output.text for output in outputs[1:]} == {"yes", "no"}
    assert [o.tokens_in for o in outputs[1:]] == [len(f"{sample.prompt} ASSISTANT:") for sample in batch[1:]]
    assert {output.tokens_out for output in outputs[1:]} == {2}
    assert outputs[1].cost == pytest.approx(len("question 1? ASSISTANT:") / 1e6 + 2)
    assert endpoint.asked[0]["temperature"] == 0


def test_a_chat_is_sent_message_by_message(make: Make, endpoint: FakeEndpoint) -> None:
    shot, sample = samples(2)
    asked = replace(sample, system="Be brief.", examples=(replace(shot, answer="(A)"),))
    (output,) = make().generate([asked], 5)
    roles = [message["role"] for message in endpoint.asked[0]["messages"]]
    system, shown, answered, last = (message["content"] for message in endpoint.asked[0]["messages"])
    assert roles == ["system", "user", "assistant", "user"]
    assert (system, answered) == ("Be brief.", "(A)")
    assert [part["type"] for part in shown] == [part["type"] for part in last] == ["image_url", "text"]
    assert (shown[1]["text"], last[1]["text"]) == (shot.prompt, sample.prompt)
    assert output.rendered_prompt == (
        f"system: Be brief.\nuser: <image>\n{shot.prompt}\nassistant: (A)\nuser: <image>\n{sample.prompt}"
    )


def test_settings_of_sampling_are_fields_of_the_request(make: Make, endpoint: FakeEndpoint) -> None:
    settings = Generation(temperature=0.7, top_p=0.9, top_k=5, until=("\n",), seed=3)
    adapter = make(generation=settings, chat_template_args={"enable_thinking": True})
    (sample,) = samples(1)
    repeats = [replace(sample, repeat=k) for k in range(3)]
    adapter.generate(repeats, 5)
    common = {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "stop": ["\n"], "max_tokens": 5}
    sent = [{key: body[key] for key in body if key not in ("messages", "model")} for body in endpoint.asked]
    assert sorted(body.pop("seed") for body in sent) == sorted(settings.seed_of(one) for one in repeats)
    assert sent == [{**common, "chat_template_kwargs": {"enable_thinking": True}}] * 3
    assert adapter.traits.reasons
    assert adapter.traits.metered
    assert not make().traits.reasons


def test_a_ranking_is_not_drawn(make: Make, endpoint: FakeEndpoint) -> None:
    endpoint.scores = True
    (sample,) = samples(1)
    plain = make().rank([sample])[0].logprobs
    drawn = make(generation=Generation(temperature=0.7, until=("\n",)), chat_template_args={"thinking": False})
    assert drawn.rank([sample])[0].logprobs == plain
    assert {body["temperature"] for body in endpoint.asked} == {0}
    assert not any("stop" in body or "seed" in body for body in endpoint.asked)
    assert all(body["chat_template_kwargs"] == {"thinking": False} for body in endpoint.asked)


def test_a_ranking_of_letters_knows_the_length_of_the_prompt(make: Make, endpoint: FakeEndpoint) -> None:
    """The loop ranks a copy of the sample with the letters as its choices: nothing is asked twice for that."""
    endpoint.scores = True
    adapter, (sample,) = make(), samples(1)
    adapter.generate([sample], 5)
    adapter.rank([replace(sample, choices=("A", "B"))])
    assert len(endpoint.asked) == 1 + 2


def test_reasoning_tokens_are_those_of_the_usage(make: Make, endpoint: FakeEndpoint) -> None:
    usage = '"completion_tokens_details": {"reasoning_tokens": 7}, "completion_tokens": 9, "prompt_tokens": 4'
    body = f'{{"choices": [{{"message": {{"content": "yes"}}, "finish_reason": "stop"}}], "usage": {{{usage}}}}}'
    endpoint.odd = lambda *_: Reply(body=body)
    (output,) = make().generate(samples(1), 20)
    assert (output.tokens_out, output.reasoning_tokens) == (9, 7)


def said(text: str | None, reason: str = "stop", tokens: int = 1) -> str:
    content = "null" if text is None else f'"{text}"'
    return (
        f'{{"choices": [{{"message": {{"content": {content}}}, "finish_reason": "{reason}"}}],'
        f' "usage": {{"prompt_tokens": 4, "completion_tokens": {tokens}}}}}'
    )


@pytest.mark.parametrize("limit", [1, 5])
def test_concurrency_bounds_the_requests(make: Make, endpoint: FakeEndpoint, limit: int) -> None:
    endpoint.delay = 0.1
    make(concurrency=limit).generate(samples(12), 5)
    assert endpoint.most == limit


def test_a_failure_concerns_one_sample_and_nothing_is_sent_twice(make: Make, endpoint: FakeEndpoint) -> None:
    endpoint.scores = True
    endpoint.odd = lambda question, _: error(400, "too long") if question == "question 2?" else None
    adapter, batch = make(), samples(4)
    with pytest.raises(SampleError, match=r"refuses the request \(400\): too long"):
        adapter.generate(batch, 5)
    assert len(endpoint.asked) == 4
    for sample in batch:  # as the engine does then
        if sample.prompt == "question 2?":
            with pytest.raises(SampleError, match="too long"):
                adapter.generate([sample], 5)
        else:
            assert adapter.generate([sample], 5)[0].text in ("yes", "no")
            assert len(adapter.rank([sample])[0].logprobs) == 3
    assert len([body for body in endpoint.asked if "prompt_logprobs" not in body]) == 4
    adapter.generate(samples(4)[:2], 5)  # another batch with the same questions
    assert endpoint.questions()["question 0?"] == 2


@pytest.mark.parametrize(
    ("reason", "tokens", "fails"),
    [("stop", 1, False), ("stop", 0, True), ("length", 5, False), ("tool_calls", 5, True)],
)
def test_an_empty_answer_is_the_models_own_or_none(
    make: Make, endpoint: FakeEndpoint, reason: str, tokens: int, fails: bool
) -> None:
    endpoint.odd = lambda *_: Reply(body=said("", reason, tokens))
    adapter = make()
    if fails:
        with pytest.raises(SampleError, match=f"without text .finish_reason {reason}, {tokens} tokens"):
            adapter.generate(samples(1), 5)
    else:
        assert adapter.generate(samples(1), 5)[0].text == ""


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("data: {}", "not JSON.*begins 'data:"),
        ("{}", "choices"),
        ('{"choices": []}', "choices"),
        (said(None, "content_filter"), "content filter"),
    ],
)
def test_a_response_without_an_answer_is_an_error(make: Make, endpoint: FakeEndpoint, body: str, what: str) -> None:
    endpoint.odd = lambda *_: Reply(body=body)
    with pytest.raises(SampleError, match=what):
        make().generate(samples(1), 5)


def test_ranking_sums_the_tokens_after_the_prompt(make: Make, endpoint: FakeEndpoint) -> None:
    endpoint.scores = True
    adapter, (sample,) = make(price_in=1e6), samples(1)
    alone = adapter.rank([sample])[0]
    assert len(endpoint.asked) == 4, "the length of the prompt, and each choice"
    shown = json.dumps(endpoint.asked[0]["messages"][0])
    bare = f"{sample.prompt} ASSISTANT:"
    for choice, logprob in zip(sample.choices, alone.logprobs, strict=True):
        behind = range(len(bare), len(f"{bare} {choice}"))
        assert logprob == pytest.approx(math.fsum(-number(shown, f"{bare} {choice}"[:i]) for i in behind))
    assert alone.logprob_tokens == (4, 3, 5)
    assert alone.cost == len(bare) * 4 + 4 + 3 + 5

    again, (sample,) = make(), samples(1)
    again.generate([sample], 5)
    assert again.rank([sample])[0].logprobs == alone.logprobs
    assert len(endpoint.asked) == 4, "the answer told the length of the prompt"


@pytest.mark.parametrize(
    ("scores", "opening", "odd", "why"),
    [
        (False, "", None, "no log-probabilities"),
        (True, "", None, None),
        (True, " <think>", None, "does not directly follow the prompt"),
        (True, "", error(400, "Unrecognized argument: prompt_logprobs"), "does not accept prompt_logprobs"),
    ],
)
def test_rank_is_a_capability_if_the_endpoint_returns_prompt_logprobs(
    make: Make, endpoint: FakeEndpoint, scores: bool, opening: str, odd: Reply | None, why: str | None
) -> None:
    endpoint.scores, endpoint.opening, endpoint.odd = scores, opening, lambda *_: odd
    adapter = make()
    assert ("rank" in adapter.capabilities) == (why is None)
    if why:
        assert why in adapter.describe()["cannot_rank"]
        with pytest.raises(AdapterError, match=why):
            adapter.rank(samples(1))


def test_the_key_is_sent_and_stored_nowhere(
    make: Make, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.key = KEY
    monkeypatch.setenv("MY_KEY", KEY)
    adapter = make(key_env="MY_KEY")
    adapter.generate(samples(1), 5)
    assert endpoint.keys == {f"Bearer {KEY}"}
    assert KEY not in repr(adapter.describe()) + repr(adapter._settings)
