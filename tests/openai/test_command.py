"""`vtbench run --model openai` against an endpoint that works, and against endpoints that fail."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable

import pytest
from endpoint_fakes import PAGE, FakeEndpoint, Reply, completion, error
from openai_runs import KEY, Ran

Run = Callable[..., Ran]


def test_a_run_records_tokens_and_cost(run: Run, endpoint: FakeEndpoint) -> None:
    endpoint.scores = True
    ran = run(price_in=1, price_out=3)
    assert ran.status == 0
    assert len({line["output"] for line in ran.lines}) == 2
    for line in ran.lines:
        prompt, questions = line["tokens_in"], 3
        assert (line["tokens_out"], prompt) == (2, len(f"{line['prompt']} ASSISTANT:"))
        read = questions * prompt + len(" yes") + len(" no")
        assert line["cost"] == pytest.approx((read + 3 * 2 * questions) / 1e6)
    spent = json.loads(next(ran.directory.glob("*/results.json")).read_text())["spent"]["quiz"]
    assert spent["tokens_out"] == 32
    assert spent["cost"] == pytest.approx(sum(line["cost"] for line in ran.lines))
    assert "32 tokens out, cost 0.00" in ran.out
    assert ran.facts["model"]["served_from"] == "/models/tiny"


def test_a_black_box_has_accuracy_only_and_the_table_says_so(run: Run) -> None:
    ran = run()
    assert ran.status == 0
    assert "left out rank_accuracy: model 'openai' cannot rank answers" in ran.out
    assert ran.facts["model"]["cannot_rank"] == "the endpoint gives no log-probabilities of prompts"


def test_one_refused_sample_is_status_1_and_the_others_are_asked_once(run: Run, endpoint: FakeEndpoint) -> None:
    endpoint.odd = lambda question, _: error(400, "too long") if question == "question 3?" else None
    ran = run()
    assert ran.status == 1
    failed = [line for line in ran.lines if line["error"]]
    assert [(line["index"], line["error"]) for line in failed] == [
        (3, "the endpoint refuses the request (400): too long")
    ]
    assert {count for question, count in endpoint.questions().items() if question != "Is it grey?"} == {1}
    assert "quiz: 1 samples failed" in ran.out


def test_an_endpoint_that_dies_ends_the_run_and_its_answers_are_kept(run: Run, endpoint: FakeEndpoint) -> None:
    answered: list[str] = []

    def die(question: str, _: int) -> None:
        if len(answered) == 10:
            endpoint.stop()
        elif question != "Is it grey?":
            answered.append(question)

    endpoint.odd = die
    ran = run("--batch-size", "4", concurrency=1)
    assert ran.status == 2
    assert "went away: connection refused" in ran.err
    assert {line["prompt"] for line in ran.lines if not line["error"]} == set(answered)
    failed = [line for line in ran.lines if line["error"]]
    assert {line["transient"] for line in failed} == {True}
    assert len(ran.lines) == 12, "the batch in which it died is stored, and no other begun"


def test_an_unknown_model_is_refused_with_the_served_ones(run: Run, endpoint: FakeEndpoint) -> None:
    ran = run(model="huge")
    assert ran.status == 2
    assert ran.err.strip().endswith("has no model 'huge'. It has: large, tiny.")
    assert "needs model=NAME: one of large, tiny" in run(model=None).err
    endpoint.models = None
    assert run().status == 0, "a server need not list its models"


def test_a_missing_model_without_a_list_is_the_endpoints_own_word(run: Run, endpoint: FakeEndpoint) -> None:
    endpoint.models = None
    endpoint.odd = lambda *_: error(404, "The model `huge` does not exist.")
    ran = run(model="huge")
    assert ran.status == 2
    assert "404: The model `huge` does not exist." in ran.err


@pytest.mark.parametrize("given", [None, KEY])
def test_a_wrong_key_stops_at_once_and_is_nowhere(
    run: Run, endpoint: FakeEndpoint, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.key = "another"
    if given:
        monkeypatch.setenv("OPENAI_API_KEY", given)
    ran = run()
    assert ran.status == 2
    assert (
        "refuses the key in OPENAI_API_KEY (401)" if given else "requires a key (401): set OPENAI_API_KEY"
    ) in ran.err
    assert ran.err.count("\n") == 1
    assert KEY not in ran.text()
    assert not endpoint.asked


def test_a_key_that_the_endpoint_repeats_is_hidden(
    run: Run, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    odd = {f"question {i}?": error(status, f"bad: {KEY}") for i, status in enumerate((400, 500))}
    odd["question 2?"] = Reply(body=f"bad: {KEY}")
    endpoint.odd = lambda question, _: odd.get(question)
    ran = run()
    assert ran.status == 1
    assert ["bad: ***" in line["error"] for line in ran.lines if line["error"]] == [True] * 3
    assert KEY not in ran.text()


def test_a_key_as_an_argument_is_refused(run: Run) -> None:
    ran = run(api_key=KEY)
    assert ran.status == 2
    assert "has no setting 'api_key'" in ran.err
    assert KEY not in ran.text()


def test_a_web_page_in_place_of_an_endpoint_is_refused(run: Run, endpoint: FakeEndpoint) -> None:
    endpoint.listed = PAGE
    assert run().status == 0, "a gateway may have a page in place of the list"
    endpoint.odd = lambda *_: PAGE
    ran = run()
    assert ran.status == 2
    assert "is not ready: the response is no chat completion, but a web page" in ran.err
    assert "base_url=, which usually ends in /v1" in ran.err
    assert ran.err.count("\n") == 1


def test_an_endpoint_that_never_makes_sense_ends_the_run(run: Run, endpoint: FakeEndpoint) -> None:
    endpoint.odd = lambda *_: Reply(body="data: {}")
    ran = run()
    assert ran.status == 2
    problem = "the response is no chat completion (it is not JSON)"
    assert f"the first 8 samples all failed with one type of error: {problem}" in ran.err


def test_reasons_to_end_reasoning_and_odd_characters_are_stored(run: Run, endpoint: FakeEndpoint) -> None:
    odd = {
        "question 0?": completion("The answer is", "length", 8),
        "question 1?": completion(None, "length", 8, reasoning_content="Is it red?"),
        "question 2?": Reply(body='{"choices": [{"message": {"content": "yes \\ud83d"}, "finish_reason": "eos"}]}'),
        "question 3?": completion([{"type": "thinking", "thinking": "no?"}, {"type": "text", "text": "yes"}]),
        "question 4?": completion(None, refusal="I cannot help with that."),
        "question 5?": completion("I", "content_filter"),
    }
    endpoint.odd = lambda question, _: odd.get(question)
    ran = run("--limit", "6")
    found = [(line["output"], line["finish_reason"], line["reasoning"]) for line in ran.lines]
    assert found == [
        ("The answer is", "length", None),
        ("", "length", "Is it red?"),
        ("yes \\ud83d", "stop", None),
        ("yes", "stop", "no?"),
        ("I cannot help with that.", "stop", None),
        (None, None, None),
    ]
    assert [line["error"] for line in ran.lines if line["error"]] == [
        "the endpoint's content filter stopped the answer"
    ]


def test_one_flagged_image_is_one_failed_sample(run: Run, endpoint: FakeEndpoint) -> None:
    flagged = error(403, "Your request was flagged by moderation")
    endpoint.odd = lambda question, _: flagged if question in ("question 2?", "question 7?") else None
    ran = run()
    assert ran.status == 1
    assert [line["index"] for line in ran.lines if line["error"]] == [2, 7]
    assert ran.lines[2]["error"] == "the endpoint refuses the request (403): Your request was flagged by moderation"
    assert set(endpoint.questions().values()) == {1}


def test_a_key_that_expires_ends_the_run_and_the_answers_are_kept(
    run: Run, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    asked: list[str] = []

    def expired(question: str, _: int) -> Reply | None:
        asked.append(question)
        return error(401, f"expired: {KEY}") if len(asked) > 6 else None

    endpoint.odd = expired
    ran = run("--batch-size", "8", "--limit", "16", concurrency=2)
    assert ran.status == 2
    assert "refuses the key in OPENAI_API_KEY (401)" in ran.err
    answered = [line for line in ran.lines if not line["error"]]
    assert len(answered) == 4, "all that was answered, but for the two questions about ranking"
    assert {line["transient"] for line in ran.lines if line["error"]} == {True}
    assert KEY not in ran.text()


@pytest.mark.parametrize("escape", [lambda c: f"\\u{ord(c):04x}", lambda c: f"%{ord(c):02X}", lambda c: f"&#{ord(c)};"])
def test_a_key_that_the_endpoint_escapes_is_hidden(
    run: Run, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch, escape: Callable[[str], str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = "".join(map(escape, KEY))
    odd = {
        "question 0?": Reply(400, f'{{"error": {{"message": "bad {said}"}}}}'),
        "question 1?": Reply(400, f"bad {said}"),
        "question 2?": Reply(body=f'{{"choices": [{{"message": {{"content": "yes {said}"}}}}]}}'),
        "question 3?": Reply(body=f'{{"choices": "{said}"}}'),
    }
    endpoint.odd = lambda question, _: odd.get(question)
    ran = run("--limit", "8")
    assert ran.lines[2]["output"] == "yes ***"
    for text in (KEY, said, said.lower()):
        assert text not in ran.text()


@pytest.mark.parametrize(
    "extra",
    [
        {"extra_headers": {"Authorization": f"Bearer {KEY}", "Accept": "json"}},
        {"headers": [["x-api-key", KEY], ["accept", "json"]]},
        {"proxy": [{"name": "Cookie", "value": KEY}]},
        {"login": {"user": "me", "passwd": KEY}},
    ],
)
def test_a_secret_among_further_fields_is_sent_and_hidden(
    run: Run, endpoint: FakeEndpoint, extra: dict[str, object]
) -> None:
    odd = {
        "question 0?": completion(f"yes {KEY}"),
        "question 1?": completion("yes " + b64encode(f"Bearer {KEY}".encode()).decode()),
        "question 2?": error(400, f"{extra}"),
    }
    endpoint.odd = lambda question, _: odd.get(question)
    ran = run("--limit", "8", extra=extra)
    assert all(body.items() >= extra.items() for body in endpoint.asked)
    assert ran.lines[0]["output"] == "yes ***"
    for text in (KEY, b64encode(KEY.encode()).decode()[4:20]):
        assert text not in ran.text()


def test_a_word_that_looks_like_a_secret_does_not_change_a_score(run: Run, endpoint: FakeEndpoint) -> None:
    endpoint.odd = lambda *_: completion("yes, indeed")
    ran = run(extra={"end_token": "yes, indeed"})
    assert {line["scores"]["accuracy"]["correct"] for line in ran.lines} == {1}


def test_a_key_that_is_a_word_leaves_answers_alone(
    run: Run, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "yes")
    assert {line["output"] for line in run().lines} == {"yes", "no"}


@pytest.mark.parametrize(
    "listed",
    [
        Reply(body='[{"id": "tiny"}]'),
        Reply(body='["tiny"]'),
        Reply(body="[]"),
        Reply(body='{"data": null}'),
        Reply(body='{"models": [{"name": "tiny"}]}'),
        Reply(body='{"data": [{"id": 3}, {}]}'),
        Reply(body='"tiny"'),
        Reply(body="[" * 100_000),
        error(403),
        error(404),
        error(500),
        PAGE,
        Reply(body='{"data": [{"id": "other"}], "has_more": true}'),
        Reply(body='{"data": [{"id": "Org/Tiny"}]}'),
    ],
    ids=lambda reply: f"{reply.status} {reply.body[:20]}",
)
def test_a_model_that_is_named_needs_no_list(run: Run, endpoint: FakeEndpoint, listed: Reply) -> None:
    endpoint.listed = listed
    ran = run()
    assert ran.status == 0
    assert ran.err.count("does not list such a model") == ("other" in listed.body or "Org" in listed.body)
