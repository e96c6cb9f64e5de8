"""The cache of answers: what is asked twice, what must never be shared, and a store that goes wrong."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_fakes import FakeModel, Plugin, quiz
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vtbench
from vtbench.adapter import Generation, Traits
from vtbench.config import RunConfig
from vtbench.console.progress import Listener
from vtbench.engine.answer_cache import CachedAdapter, decoded, encoded
from vtbench.engine.answer_store import FILE, AnswerStore
from vtbench.engine.budgeted_adapter import BudgetedAdapter
from vtbench.errors import AdapterError, VtbenchError
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.types import Message, Output, Sample
from vtbench_budgets import GridKeep, TokenCount
from vtbench_budgets.complexity import ComplexityAtMean

KNOWN = {"describes": {"fingerprint": "abc"}}


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def go(task: Path, **fields: Any) -> tuple[RunResult, list[int], list[str]]:
    """Run with a cache, and return the result, the sizes of the batches that the model got, and the notes."""
    plugin, notes = Plugin(), Notes()
    given = {"model": "fake", "model_args": KNOWN, "tasks": [task], "output": str(task.parent / "out"), "batch_size": 4}
    given |= {"cache": task.parent / "cache", "registry": Registry({"fakes": plugin}), "listener": notes}
    result = vtbench.run(**{**given, **fields})
    assert plugin.model is not None
    return result, plugin.model.batches, notes.lines


def document(result: RunResult) -> Any:
    return json.loads((result.path / "results.json").read_text())


def facts(result: RunResult) -> Any:
    return json.loads((result.path / "run.json").read_text())


def test_a_second_identical_run_asks_nothing_and_scores_the_same(tmp_path: Path) -> None:
    task = quiz(tmp_path, 13, metrics="[hits, ranked]")
    fresh, _, _ = go(task, cache=None)
    first, asked, notes = go(task)
    assert sum(asked) >= 26
    assert any("0 answers reused, 26 asked" in line for line in notes)
    second, asked, notes = go(task)
    assert asked == []
    assert any("26 answers reused, 0 asked" in line for line in notes)
    assert facts(second)["cache"] == {"directory": str(tmp_path / "cache"), "reused": 26, "asked": 0}
    assert document(fresh) == document(first) == document(second)
    assert facts(fresh)["digest"] == facts(second)["digest"]


def test_a_larger_limit_and_another_metric_ask_for_the_rest_only(tmp_path: Path) -> None:
    task = quiz(tmp_path, 16)
    go(task, limit=8)
    result, asked, _ = go(task, limit=16, model_args={**KNOWN})
    assert facts(result)["cache"]["asked"] == 8
    assert sum(asked) <= 8 + 2  # two are asked once more, alone
    result, _, _ = go(task, metrics=["hits", "ranked"])
    assert facts(result)["cache"] == {"directory": str(tmp_path / "cache"), "reused": 16, "asked": 16}


def test_a_model_in_the_cache_is_not_asked_even_for_the_check_of_the_order(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12)
    go(task, limit=2)
    result, asked, _ = go(task)
    assert facts(result)["cache"]["asked"] == 10
    assert asked[0] == 2  # the rest of the first batch: too few to check
    assert asked[1:] == [4, 1, 1, 4]


def test_answers_in_the_wrong_order_never_get_into_the_cache(tmp_path: Path) -> None:
    class Sorting(FakeModel):
        def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Any = None) -> list[Output]:
            return [Output(text=s.prompt) for s in sorted(samples, key=lambda s: s.prompt, reverse=True)]

    class Sorts(Plugin):
        pass

    plugin = Sorts()
    registry = Registry({"fakes": plugin})
    registry.adapter = lambda *a, **k: Sorting(**KNOWN)  # type: ignore[method-assign,assignment]
    task = quiz(tmp_path, 12)
    with pytest.raises(AdapterError, match="another order"):
        vtbench.run(
            "fake", [task], model_args=KNOWN, registry=registry, cache=tmp_path / "cache", output=tmp_path / "out"
        )
    assert stored(tmp_path) == 0


def stored(directory: Path) -> int:
    with sqlite3.connect(directory / "cache" / FILE) as database:
        return int(database.execute("SELECT count(*) FROM answers").fetchone()[0])


def test_failures_are_not_kept(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8)
    arguments = {**KNOWN, "fails_on": ["question 3?"]}
    go(task, model_args=arguments)
    assert stored(tmp_path) == 7
    result, _, _ = go(task, model_args=arguments)
    assert facts(result)["cache"]["reused"] == 7
    assert document(result)["failed"] == {"quiz": 1}


@pytest.mark.parametrize(
    "other",
    [
        {"model_args": {"describes": {"fingerprint": "other"}}},
        {"model_args": {**KNOWN, "moody": True}},
        {"model_args": {"describes": {"fingerprint": "abc", "dtype": "bfloat16"}}},
        {"model_args": {"describes": {"fingerprint": "abc", "chat_template": "1234"}}},
        {"dtype": "bfloat16"},
    ],
    ids=lambda other: json.dumps(other)[:60],
)
def test_another_model_shares_nothing(tmp_path: Path, other: dict[str, Any]) -> None:
    task = quiz(tmp_path, 8)
    go(task)
    result, _, _ = go(task, **other)
    assert facts(result)["cache"]["reused"] == 0


def test_a_model_without_identity_is_asked_each_time_and_the_run_says_so(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8)
    for _ in range(2):
        result, asked, notes = go(task, model_args={})
        assert sum(asked) >= 8
        assert any("not cached" in line and "`fingerprint`" in line for line in notes)
        assert not any("reused" in line for line in notes)
        assert "cache" not in facts(result)


def test_a_resumed_run_counts_both_of_its_parts(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8)
    with pytest.raises(KeyboardInterrupt):
        go(task, model_args={**KNOWN, "interrupts_on": "question 5?"})
    assert stored(tmp_path) == 4
    (path,) = (tmp_path / "out").iterdir()
    assert json.loads((path / "run.json").read_text())["cache"]["asked"] == 4


class Asked:
    """Counts what it is asked, and answers what nobody else would."""

    layers: tuple[str, ...] = ()
    image_size = None

    def __init__(self, can: Sequence[str] = ("generate", "rank", "budget", "context"), **facts: Any) -> None:
        self.capabilities = frozenset(can)
        self.traits = Traits(prompt_format="plain", metered=True)
        self.facts = {"checkpoint": "asked", "fingerprint": "abc", **facts}
        self.seen: list[tuple[str, ...]] = []

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Any = None) -> list[Output]:
        self.seen.append(tuple(s.id for s in samples))
        return [Output(text=f"{s.id} {len(self.seen)}", tokens_out=3, cost=0.5) for s in samples]

    def rank(self, samples: Sequence[Sample], budget: Any = None) -> list[Output]:
        self.seen.append(tuple(s.id for s in samples))
        return [Output(logprobs=tuple(-0.1 - i for i, _ in enumerate(s.choices))) for s in samples]

    def describe(self) -> Mapping[str, Any]:
        return self.facts

    def close(self) -> None: ...


def wrapped(directory: Path, model: Any = None, generation: Generation | None = None, **config: Any) -> CachedAdapter:
    settings = RunConfig(model="asked", tasks=["t"], **config)
    return CachedAdapter(model or Asked(), AnswerStore(directory), settings, generation or Generation())


def sample(name: str = "a", colour: int = 0, **facts: Any) -> Sample:
    given: dict[str, Any] = {"prompt": "what?", "target": "yes", "choices": ("yes", "no")}
    return Sample(name, 0, images=(Image.new("RGB", (2, 2), (colour, 0, 0)),), **(given | facts))


def test_order_is_kept_and_only_the_missing_are_asked(tmp_path: Path) -> None:
    adapter = wrapped(tmp_path, model := Asked())
    samples = [sample(str(i), i) for i in range(6)]
    first = adapter.generate(samples[1:4], 8)
    adapter.keep()
    again = adapter.generate(samples, 8)
    assert [output.text for output in again[1:4]] == [output.text for output in first]
    assert [output.text.split()[0] for output in again if output.text] == list("012345")
    assert model.seen == [("1", "2", "3"), ("0", "4", "5")]
    assert [output.cost for output in again] == [0.5, 0.0, 0.0, 0.0, 0.5, 0.5]  # a stored answer costs nothing
    assert adapter.keep() == (3, 3, [])


def test_the_same_question_is_asked_once_in_a_batch_and_under_any_name(tmp_path: Path) -> None:
    adapter = wrapped(tmp_path, model := Asked())
    assert len({output.text for output in adapter.generate([sample("a"), sample("b")], 8)}) == 1
    adapter.keep()
    adapter.generate([sample("other task/7")], 8)
    assert model.seen == [("a",)]


DIFFERENT: list[Sample] = [
    sample(),
    sample(colour=1),
    sample(prompt="who?"),
    sample(choices=("yes", "perhaps")),
    sample(choices=()),
    sample(labels=("A", "B")),
    sample(system="be brief"),
    sample(repeat=1),
    sample(scene_hash="5"),
    sample(examples=(sample(answer="A"),)),
    sample(examples=(sample(answer="B"),)),
    sample(examples=(sample(answer="A", colour=9),)),
    sample(examples=(sample(answer="A"),), multiturn=False),
    replace(sample(), images=(Image.new("RGB", (4, 1)),)),
    replace(sample(), images=()),
]


def test_whatever_a_model_reads_is_in_the_key(tmp_path: Path) -> None:
    assert DIFFERENT[6].messages[0] == Message("system", ("be brief",))
    adapter = wrapped(tmp_path, model := Asked())
    for each in DIFFERENT:
        adapter.generate([each], 8)
        adapter.rank([each])
    adapter.generate([sample()], 9)
    adapter.generate([sample()], 8, GridKeep(TokenCount(count=1)))
    adapter.generate([sample()], 8, GridKeep(TokenCount(count=2)))
    adapter.rank([sample()], GridKeep(TokenCount(count=1)))
    assert len(model.seen) == 2 * len(DIFFERENT) + 4
    adapter.keep()
    for each in DIFFERENT:
        adapter.generate([each], 8)
        adapter.rank([each])
    adapter.generate([sample()], 8, GridKeep(TokenCount(count=2)))
    assert len(model.seen) == 2 * len(DIFFERENT) + 4


@pytest.mark.parametrize(
    "generation",
    [Generation(temperature=0.5), Generation(until=("\n",)), Generation(top_k=3), Generation(temperature=0.5, seed=1)],
)
def test_generation_settings_are_in_the_key(tmp_path: Path, generation: Generation) -> None:
    for settings in (Generation(), Generation(temperature=0.5, top_p=0.5), generation):
        adapter = wrapped(tmp_path, model := Asked(), settings)
        adapter.generate([sample()], 8)
        adapter.keep()
        assert len(model.seen) == 1


def test_draws_are_each_sample_s_own_and_more_repeats_reuse_the_first(tmp_path: Path) -> None:
    adapter = wrapped(tmp_path, model := Asked(), Generation(temperature=1.0, repeats=2))
    adapter.generate([sample("a"), sample("b"), sample("a", repeat=1)], 8)
    assert model.seen == [("a", "b", "a")]
    adapter.keep()
    more = wrapped(tmp_path, model := Asked(), Generation(temperature=1.0, repeats=4))
    more.generate([sample("a", repeat=r) for r in range(4)], 8)
    assert len(model.seen[0]) == 2


def test_a_budget_of_the_run_is_in_the_key_as_it_was_fitted(tmp_path: Path) -> None:
    measured = [np.array([[10.0, 64], [30.0, 64]]), np.array([[10.0, 64], [12.0, 64]])]
    budget = ComplexityAtMean(TokenCount(mean=8))
    model = Asked()
    for seen in (measured[0], measured[0].copy(), measured[1]):
        adapter = BudgetedAdapter(wrapped(tmp_path, model), budget)
        fitter = adapter.new_fitter()
        fitter.load_state({"budget": seen})
        adapter.generate([sample("a")], 8)
        assert isinstance(adapter.inner, CachedAdapter)
        adapter.inner.keep()
    assert model.seen == [("a",), ("a",)]


@pytest.mark.parametrize("model", [lambda: Asked(can=["generate", "rank"]), lambda: Asked(control="shuffled")])
def test_a_model_that_may_read_more_than_the_messages_shares_by_name_only(tmp_path: Path, model: Any) -> None:
    adapter = wrapped(tmp_path, asked := model())
    adapter.generate([sample("a")], 8)
    adapter.generate([sample("b")], 8)
    adapter.generate([sample("b")], 8)
    assert asked.seen == [("a",), ("b",)]


def test_traits_pass_through_and_a_cached_model_cannot_be_trained(tmp_path: Path) -> None:
    adapter = wrapped(tmp_path, Asked(can=["generate", "train"]))
    assert adapter.traits.metered
    assert adapter.capabilities == {"generate"}


numbers = st.floats(allow_nan=False)
counts = st.none() | st.integers(0, 10**9)
texts = st.none() | st.text()


@given(
    st.builds(
        Output,
        text=texts,
        logprobs=st.none() | st.tuples(numbers, numbers),
        logprob_tokens=st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
        tokens_in=counts,
        visual_tokens_in=counts,
        tokens_out=counts,
        reasoning_tokens=counts,
        prefill_seconds=st.none() | numbers,
        decode_seconds=st.none() | numbers,
        finish_reason=texts,
        reasoning=texts,
        rendered_prompt=texts,
    )
)
def test_an_output_comes_back_with_every_field_and_digit(output: Output) -> None:
    back = decoded(encoded(output))
    assert back is not None
    assert back == output
    assert (back.prefill_seconds, back.decode_seconds) == (output.prefill_seconds, output.decode_seconds)


def test_what_is_no_output_is_asked_again() -> None:
    assert decoded("{") is None
    assert decoded('{"words": 3}') is None
    assert decoded("[1]") is None


@pytest.mark.parametrize("content", [b"not a database, but as long as one" * 60, b"SQLite format 3\0" * 90])
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(VtbenchError, match=rf"{FILE}: not usable as a cache of answers .*; remove it") as caught:
        AnswerStore(tmp_path)
    assert "\n" not in str(caught.value)


def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("CREATE TABLE mine (x)")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(VtbenchError, match="another program's database"):
        AnswerStore(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VtbenchError, match=r"--cache .*name a directory that can be written"):
        AnswerStore(tmp_path / "file" / "cache")


def test_a_full_disk_loses_no_answer_of_the_run(tmp_path: Path) -> None:
    task = quiz(tmp_path, 200)
    AnswerStore(tmp_path / "cache").close()
    full = sqlite3.connect
    try:

        def small(*arguments: Any, **settings: Any) -> Any:
            database = full(*arguments, **settings)
            database.execute("PRAGMA max_page_count = 2")
            return database

        sqlite3.connect = small  # type: ignore[assignment]
        result, _, notes = go(task)
    finally:
        sqlite3.connect = full  # type: ignore[assignment]
    assert document(result)["n-samples"]["quiz"] == {"original": 200, "effective": 200}
    assert sum("full" in line and "no further" in line for line in notes) == 1


def test_a_file_that_breaks_during_the_run_loses_no_answer(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    store.put({bytes([n]) * 32: "{}" * 300 for n in range(200)})
    (tmp_path / FILE).write_bytes(b"no database any more" * 500)
    assert store.get([b"x" * 32]) == {}
    store.put({b"y" * 32: "{}"})
    assert store.get([b"y" * 32]) == {}
    (note,) = store.take_notes()
    assert FILE in note
    assert "no further" in note


def test_several_writers_at_once(tmp_path: Path) -> None:
    def write(part: int) -> None:
        store = AnswerStore(tmp_path)
        for n in range(30):
            store.put({bytes([n, 0]): "{}", bytes([n, part]): json.dumps(part)})
        assert store.take_notes() == []
        store.close()

    threads = [threading.Thread(target=write, args=(part,)) for part in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = AnswerStore(tmp_path)
    assert len(store.get([bytes([n, part]) for n in range(30) for part in range(5)])) == 150
