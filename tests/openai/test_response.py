"""Bodies of responses as servers and gateways send them, and what is read from them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint, Reply, completion, error
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_runs import samples

from vtbench.errors import SampleError
from vtbench.types import Output
from vtbench_openai import connection
from vtbench_openai.response import answer_text, parse_json, parse_response

Make = Callable[..., Any]
SUMMER = '{"choices": [{"message": {"content": "été"}}]}'


def read(reply: Reply) -> Any:
    return parse_response(parse_json(reply.body.encode() if isinstance(reply.body, str) else reply.body))


def part(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ([part("text", text="yes")], "yes", None),
        ([part("text", text="y"), part("text", text="es")], "yes", None),
        ([part("output_text", text="yes", annotations=[])], "yes", None),
        ([part("text", text={"value": "yes", "annotations": []})], "yes", None),
        (["yes"], "yes", None),
        ([{"text": "yes"}], "yes", None),
        (part("text", text="yes"), "yes", None),
        ([part("thinking", thinking=[part("text", text="no?")]), part("text", text="yes")], "yes", "no?"),
        ([part("thinking", thinking="no?"), part("text", text="yes")], "yes", "no?"),
        ([part("reasoning", text="no?"), part("text", text="yes")], "yes", "no?"),
        ([part("reasoning", summary=[part("summary_text", text="no?")]), "yes"], "yes", "no?"),
        ([part("image_url", image_url={"url": "no"}), part("text", text="yes")], "yes", None),
        ([part("refusal", refusal="I cannot."), part("text", text="")], "I cannot.", None),
    ],
)
def test_a_list_of_parts_is_its_text_and_its_thinking(content: Any, text: str, reasoning: str | None) -> None:
    response = read(completion(content))
    assert (answer_text(response), response.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    ("reply", "text", "reason"),
    [
        (completion(None, "length", 8, reasoning_content="Is it"), "", "length"),
        (completion("", "length", 8, reasoning="Is it"), "", "length"),
        (completion(None, "stop", 8, reasoning_content="It is."), "", "stop"),
        (completion("The answer", "MAX_TOKENS"), "The answer", "length"),
        (completion("The answer", "model_length"), "The answer", "length"),
        (completion("yes", "eos_token"), "yes", "stop"),
        (completion("yes", {"type": "eos"}), "yes", "stop"),
        (completion("yes", None), "yes", None),
        (completion("yes", 3), "yes", None),
        (completion("yes", "repetition"), "yes", "repetition"),
        (completion(None, refusal="I cannot."), "I cannot.", "stop"),
        (completion("  yes\n"), "yes", "stop"),
    ],
)
def test_an_answer_and_why_it_ends(reply: Reply, text: str, reason: str | None) -> None:
    response = read(reply)
    assert (answer_text(response), response.finish_reason) == (text, reason)


@pytest.mark.parametrize(
    "reply",
    [
        completion(None, "stop", 0),
        completion(None, "stop", 5),
        completion("", "stop", 0),
        completion("", None, 3),
        completion(None, "tool_calls", 9),
        completion("", "content_filter", 0),
        completion("I", "content_filter", 1),
        completion(3),
        completion(True),
        completion([]),
        completion([part("image_url", image_url={})]),
        *(Reply(body=body) for body in ("{}", "[]", "null", '{"choices": null}', '{"choices": []}', '{"choices": {}}')),
        *(
            Reply(body=f'{{"choices": [{choice}]}}')
            for choice in ("null", "{}", '{"message": null}', '"yes"', '{"text": "yes"}')
        ),
        Reply(body='{"choices": [{"message": {"content": "yes", "content": "no"}}]}'),
        Reply(body='{"choices": [{"message": {"content": "yes"}}'),
        Reply(body="[" * 200_000),
        Reply(body='{"a": ' * 200_000),
        Reply(body='{"choices": [{"message": {"content": ' + "[" * 500 + '"yes"' + "]" * 500 + "}}]}"),
        Reply(body="1" * 10_000),
        Reply(body=SUMMER.encode("latin-1")),
    ],
    ids=lambda reply: reply.body[:60],
)
def test_what_is_no_answer_is_a_failed_sample(reply: Reply) -> None:
    with pytest.raises(SampleError) as caught:
        answer_text(read(reply))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("count", "read_as"),
    [
        (12, 12), (12.0, 12), ("12", 12), (0, 0), (12.5, None), (-1, None), (float("nan"), None),
        (float("inf"), None), (10**30, None), (None, None), (True, None), ("many", None),
        ("9" * 5000, None), ([], None),
    ],
)  # fmt: skip
def test_a_count_of_tokens_is_a_whole_number_or_unknown(count: Any, read_as: int | None) -> None:
    response = read(completion(tokens=count, prompt=count))
    assert (response.tokens_in, response.tokens_out) == (read_as, read_as)


@pytest.mark.parametrize("usage", ["null", "[]", "3", '{"prompt_tokens": 3}'])
def test_a_price_without_counts_is_unknown_and_not_too_low(make: Make, endpoint: FakeEndpoint, usage: str) -> None:
    body = f'{{"choices": [{{"message": {{"content": "yes"}}}}], "usage": {usage}}}'
    endpoint.odd = lambda *_: Reply(body=body)
    assert make(price_in=1e6, price_out=1).generate(samples(1), 5)[0].cost is None
    assert make(price_in=1e6).generate(samples(1), 5)[0].cost == (3 if "3}" in usage else None)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xef\xbb\xbf" + completion("été").body.encode(), "application/json"),
        (SUMMER.encode(), "application/json; charset=iso-8859-1"),
        (SUMMER.encode(), "application/json; charset=none"),
        (SUMMER.encode("latin-1"), 'application/json; charset="ISO-8859-1"'),
        (completion("été").body.encode("utf-16"), "application/json"),
        (completion("été").body.encode("utf-32-le"), ""),
    ],
)
def test_charsets(body: bytes, content_type: str) -> None:
    assert parse_response(parse_json(body, content_type)).text == "été"


@settings(deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_any_text_can_be_stored(text: str) -> None:
    said = read(Reply(body=json.dumps({"choices": [{"message": {"content": text}}]}))).text
    assert said.encode("utf-8").decode("utf-8") == said
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert said == text


FIELDS = st.sampled_from(
    ["choices", "message", "content", "type", "text", "thinking", "usage", "refusal", "finish_reason"]
)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    )
)
def test_any_json_is_an_answer_or_a_failed_sample(body: Any) -> None:
    try:
        said = answer_text(parse_response(parse_json(json.dumps(body).encode())))
    except SampleError:
        return
    assert isinstance(said, str)


ERRORS = [
    ({"error": {"message": "Rate limit exceeded", "code": 429}}, True),
    ({"error": {"message": "slow down", "type": "rate_limit_exceeded"}}, True),
    ({"error": {"message": "x", "code": "503"}}, True),
    ({"error": {"type": "overloaded_error"}}, True),
    ({"error": "upstream timed out", "choices": None}, True),
    ({"choices": None, "error": {"code": 502}}, True),
    ({"choices": [{"message": {"content": "No"}, "finish_reason": "error", "error": {"code": 502}}]}, True),
    ({"choices": [{"message": {"content": "No"}, "finish_reason": "error"}]}, True),
    ({"error": {"message": "image too large", "code": 413}}, False),
    ({"error": {"message": "bad prompt", "code": "invalid_request"}}, False),
    ({"error": {"message": "flagged by moderation", "code": 403}}, False),
]


@pytest.mark.parametrize(("body", "passing"), ERRORS)
def test_an_error_with_status_200_is_what_its_code_says(
    make: Make, endpoint: FakeEndpoint, body: dict[str, Any], passing: bool
) -> None:
    adapter = make(retries=3)
    endpoint.odd = lambda _, count: Reply(body=json.dumps(body)) if count < 3 else None
    if passing:
        assert adapter.generate(samples(1), 5)[0].text in ("yes", "no")
        assert len(endpoint.asked) == 3
    else:
        with pytest.raises(SampleError, match="refuses the request") as caught:
            adapter.generate(samples(1), 5)
        assert len(endpoint.asked) == 1
        assert not caught.value.transient


def test_a_body_without_end_is_one_failed_sample(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make(retries=3)
    endpoint.odd = lambda *_: Reply(body=b" " * 2**16, endless=True)
    with pytest.raises(SampleError, match="exceeds 16 MiB"):
        adapter.generate(samples(1), 5)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies_are_read_and_bombs_are_not(
    make: Make, endpoint: FakeEndpoint, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    adapter = make(retries=0)
    body = compress(completion("no, gzip").body.encode())
    endpoint.odd = lambda *_: Reply(body=body, headers={"Content-Encoding": encoding})
    assert adapter.generate(samples(1), 5)[0].text == "no, gzip"
    bomb = compress(completion(" " * 2**22).body.encode())
    endpoint.odd = lambda *_: Reply(body=bomb, headers={"Content-Encoding": encoding})
    monkeypatch.setattr(connection, "MAX_BYTES", 2**20)
    with pytest.raises(SampleError, match="exceeds 1 MiB"):
        adapter.generate(samples(1), 5)


@pytest.mark.parametrize("broken", [b"no gzip", gzip.compress(b"{}" * 999)[:-12]], ids=["no gzip", "cut"])
def test_a_broken_body_is_repeated(make: Make, endpoint: FakeEndpoint, broken: bytes) -> None:
    odd = Reply(body=broken, headers={"Content-Encoding": "gzip"})
    endpoint.odd = lambda _, count: odd if count == 1 else None
    output: Output = make().generate(samples(1), 5)[0]
    assert output.text in ("yes", "no")


def test_a_request_that_is_too_large_is_a_failed_sample_with_a_reason(make: Make, endpoint: FakeEndpoint) -> None:
    page = "<html><head><title>413</title></head><center><h1>413 Request Entity Too Large</h1></center>nginx</html>"
    adapter = make()
    endpoint.odd = lambda *_: Reply(413, page, {"Content-Type": "text/html"})
    with pytest.raises(SampleError, match=r"refuses the request \(413\): 413 Request Entity Too Large nginx$"):
        adapter.generate(samples(1), 5)


def test_messages_of_a_server_are_printable(make: Make, endpoint: FakeEndpoint) -> None:
    adapter = make()
    endpoint.odd = lambda *_: error(400, "\x1b[31mred\u202e \ud83d")
    with pytest.raises(SampleError) as caught:
        adapter.generate(samples(1), 5)
    assert str(caught.value).endswith(r"\x1b[31mred\u202e \ud83d")
