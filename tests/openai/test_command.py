"""`vtbench run --model openai` against an endpoint that works, and against endpoints that fail."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from endpoint_fakes import FakeEndpoint, Reply, error
from openai_runs import KEY, Ran

from vtbench_openai import retry

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


def test_an_endpoint_that_dies_fails_samples_with_status_1(run: Run, endpoint: FakeEndpoint) -> None:
    def die(question: str, _: int) -> None:
        if question == "question 9?":
            endpoint.stop()

    endpoint.odd, endpoint.delay = die, 0.05
    ran = run("--batch-size", "4", concurrency=1)
    assert ran.status == 1
    assert len(ran.lines) == 16
    failed = {line["index"]: line["error"] for line in ran.lines if line["error"]}
    assert {9, *range(12, 16)} <= failed.keys() <= set(range(8, 16)), "within its batch, any may be asked first"
    assert failed.pop(9).startswith("no answer after 3 tries")
    assert set(failed.values()) == {"no answer after one try in 0 s: connection refused"}


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
    endpoint.page = True
    ran = run()
    assert ran.status == 2
    assert "gives text/html and no list of models; base_url usually ends in /v1" in ran.err


def test_an_endpoint_that_never_answers_ends_the_run(
    run: Run, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    endpoint.odd = lambda *_: Reply(body="<html>")
    ran = run()
    assert ran.status == 2
    problem = "the response is no chat completion (it is not JSON)"
    assert f"the first 8 samples all failed with one type of error: {problem}" in ran.err
