"""The table of samples: results, probabilities, score columns."""

from __future__ import annotations

import json
import math

import pytest

from vtbench.report.page import LONGEST
from vtbench.report.sample_table import (
    FOLDED_ALLOWANCE,
    is_right,
    parts_of_answer,
    ranked_choices,
    sample_table,
    score_columns,
    target_probability,
)
from vtbench.types import Record


def record(index: int = 0, output: str | None = "yes", **fields: object) -> Record:
    values = {"task": "t", "id": f"t/{index}", "index": index, "prompt": "?", "target": "yes", "output": output}
    return Record(**{**values, **fields})  # type: ignore[arg-type]


def test_right_follows_the_first_verdict_else_the_text() -> None:
    assert is_right(record(scores={"a": {"note": 1}, "b": {"exact": 1}}, output="no"))
    assert not is_right(record(scores={"a": {"correct": 0}, "b": {"correct": 1}}))
    assert is_right(record(output=" yes "))
    assert not is_right(record(output=None))


def test_the_probability_of_the_truth_is_among_the_choices() -> None:
    ranked = {"choices": ("yes", "no"), "logprobs": (-1000.0, -1000.0 + math.log(3))}
    assert target_probability(record(**ranked)) == pytest.approx(0.25)
    assert target_probability(record(target="maybe", **ranked)) is None
    assert target_probability(record(choices=("yes",), logprobs=(-math.inf,))) is None
    assert target_probability(record()) is None


def test_the_likely_choices_come_first_and_the_right_ones_always() -> None:
    names = tuple(f"choice {i}" for i in range(12))
    found = ranked_choices(record(choices=names, logprobs=tuple(-float(i) for i in range(12)), target="choice 11"))
    assert [name for name, *_ in found] == [*names[:8], "choice 11"]
    assert [right for *_, right in found] == [False] * 8 + [True]
    shares = [share for _, share, _ in found]
    assert shares[0] / shares[1] == pytest.approx(math.e)
    assert ranked_choices(record()) == []


def test_a_row_names_its_choices_with_probabilities() -> None:
    ranked = {"choices": ("yes", "no"), "logprobs": (math.log(0.25), math.log(0.75))}
    (row,) = table(record(**ranked))
    assert row["choices"] == [("no", 0.75, 0), ("yes", 0.25, 1)]


def test_score_columns_tell_samples_apart_and_come_once() -> None:
    records = [
        record(
            i,
            scores={
                "a": {"correct": i % 2, "n": 3, "text": "x"},
                "b": {"correct": i % 2},
                "c": {"x": i, "exact": i == 1},
            },
        )
        for i in range(4)
    ]
    assert score_columns(records) == [("c", "exact"), ("c", "x")]


@pytest.mark.parametrize(
    ("fields", "reasoning", "answer"),
    [
        ({"output": "no"}, "", "no"),
        ({"output": "<think>It is.</think> yes"}, "<think>It is.</think>", "yes"),
        ({"output": "yes", "reasoning": "It is."}, "It is.", "yes"),
        ({"output": "<think>It could", "reasoning": None}, "<think>It could", ""),
        ({"output": None, "reasoning": "It is."}, "It is.", None),
        ({"output": "<think>b</think>yes", "reasoning": "a"}, "a\n<think>b</think>", "yes"),
    ],
)
def test_reasoning_stands_apart_wherever_it_was_recorded(
    fields: dict[str, object], reasoning: str, answer: str | None
) -> None:
    assert parts_of_answer(record(**fields)) == (reasoning, answer)  # type: ignore[arg-type]


def table(*records: Record) -> list[dict[str, object]]:
    run = {"path": "nowhere", "tasks": {"t": {}}, "config": {}, "model": {}}
    return sample_table({"t": records}, run).static_rows


def test_the_prompt_that_was_sent_is_there_where_it_says_more() -> None:
    same, framed = record(0, rendered_prompt=" ? "), record(1, rendered_prompt="<s>USER: ? ASSISTANT:")
    formatted = record(2, prompt="? Answer with one of: yes or no.", question="?")
    rows = table(same, framed, formatted)
    assert [row["sent"] for row in rows] == [None, "<s>USER: ? ASSISTANT:", "? Answer with one of: yes or no."]
    assert [row["prompt"] for row in rows] == ["?"] * 3


def test_folded_texts_share_an_allowance() -> None:
    """Of 2,000 samples with long reasoning behind long prompts, the page has a part of each."""
    long = [
        record(i, reasoning="r" * 50_000, rendered_prompt="begin " + "p" * 50_000 + " end", reasoning_tokens=9_000)
        for i in range(2000)
    ]
    data = sample_table({"t": long}, {"path": "nowhere", "tasks": {"t": {}}, "config": {}, "model": {}}).data
    assert len(json.dumps(data)) < FOLDED_ALLOWANCE + 2000 * 500
    *_, reasoning, tokens, sent = data["rows"][0]
    assert reasoning.endswith("more characters in samples.jsonl]")
    assert tokens == 9_000
    assert sent.startswith("begin ")
    assert sent.endswith(" end")
    assert "more characters in samples.jsonl]" in sent


def test_one_long_answer_has_all_that_a_text_may_have() -> None:
    (row,) = table(record(reasoning="r" * 50_000, rendered_prompt="q" * 50_000))
    assert str(row["reasoning"]).startswith("r" * LONGEST)
    assert str(row["sent"]).count("q") == LONGEST
