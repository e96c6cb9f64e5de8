"""How a run asks its model: format, what stands before the question, length and generation settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import vtbench
from vtbench.adapter import PLAIN, BaseAdapter, Generation, Traits
from vtbench.errors import AdapterError, TaskError, VtbenchError
from vtbench.registry import Registry
from vtbench.types import Capability, Output, Sample, VisualTokens


class Listening(BaseAdapter):
    """Answers with the target, and keeps what it was asked."""

    image_size = 32
    layers = ("connector",)

    def __init__(
        self,
        traits: Traits | None = None,
        can: Sequence[Capability] = ("generate", "rank", "visual_tokens", "context", "images"),
        generation: Generation | None = None,
        chat_template_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.capabilities = frozenset(can)
        if traits is not None:
            self.traits = traits
        self.generation, self.chat_template_args = generation, chat_template_args
        self.asked: list[Sample] = []
        self.ranked: list[Sample] = []
        self.shown: list[Sample] = []
        self.tokens: set[int] = set()

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        self.asked += samples
        self.tokens.add(max_new_tokens)
        return [Output(text=s.answer or s.target, rendered_prompt=f"<s>{s.prompt}", tokens_out=1) for s in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        self.ranked += samples
        return [Output(logprobs=tuple(-float(i) for i, _ in enumerate(s.choices))) for s in samples]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        import numpy as np

        self.shown += samples
        rng = np.random.default_rng(0)
        return [VisualTokens(name, rng.standard_normal((len(samples), 4, 3))) for name in layers]


class Plugin:
    """Brings models that a test has made."""

    def __init__(self, **models: Callable[..., object]) -> None:
        self.models = models

    @vtbench.hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., object]]:
        return dict(self.models)


def run(tmp_path: Path, model: Listening, **fields: Any) -> vtbench.RunConfig | Any:
    import vtbench_redundancy

    registry = Registry({"test": Plugin(listening=lambda: model), "redundancy": vtbench_redundancy})
    given = {"tasks": ["relational"], "limit": 8, "report": False, "metrics": ["accuracy"], **fields}
    return vtbench.run("listening", output=tmp_path, registry=registry, **given)


@pytest.mark.parametrize(
    ("traits", "flag", "expected"),
    [
        (None, None, "instruct"),
        (Traits(), None, "instruct"),
        (Traits(prompt_format=PLAIN), None, "plain"),
        (Traits(prompt_format=PLAIN), "instruct", "instruct"),
        (None, "plain", "plain"),
        (None, "letters", "letters"),
    ],
)
def test_the_model_says_how_it_is_asked_and_the_user_decides(
    tmp_path: Path, traits: Traits | None, flag: str | None, expected: str
) -> None:
    model = Listening(traits)
    result = run(tmp_path, model, prompt_format=flag)
    ends = {"plain": "?", "instruct": "Answer with one of these words", "letters": "Answer with the letter"}
    assert all(ends[expected] in sample.prompt for sample in model.asked)
    assert all(("Answer" in sample.prompt) == (expected != "plain") for sample in model.asked)
    assert result.document["configs"]["relational"]["prompt_format"] == expected
    assert result.scores["relational"]["acc"].value == 1
    line = json.loads((result.path / "samples.jsonl").read_text().splitlines()[0])
    assert line["rendered_prompt"] == f"<s>{line['prompt']}"
    assert line["question"] == ("" if expected == "plain" else model.asked[0].question)
    assert line["tokens_out"] == 1


def test_two_formats_are_two_runs(tmp_path: Path) -> None:
    digests = set()
    for flag in ("plain", "instruct", "letters"):
        digests.add(
            json.loads((run(tmp_path, Listening(), prompt_format=flag).path / "run.json").read_text())["digest"]
        )
    assert len(digests) == 3
    run(tmp_path / "other", Listening(), prompt_format="plain")
    with pytest.raises(VtbenchError, match="prompt_format"):
        run(tmp_path / "other", Listening(), prompt_format="instruct", resume=True)


def test_the_format_that_is_the_models_own_is_the_run_without_a_flag(tmp_path: Path) -> None:
    run(tmp_path, Listening(Traits(prompt_format=PLAIN)))
    again = Listening(Traits(prompt_format=PLAIN))
    run(tmp_path, again, prompt_format="plain", resume=True)
    assert again.asked == []


def test_letters_are_ranked_and_the_choices_stay(tmp_path: Path) -> None:
    model = Listening()
    result = run(tmp_path, model, prompt_format="letters", metrics=["rank_accuracy"])
    assert {sample.choices for sample in model.ranked} <= {("A", "B"), ("B", "A"), *_orders("ABCD")}
    lines = [json.loads(line) for line in (result.path / "samples.jsonl").read_text().splitlines()]
    assert all(set(line["choices"]) <= {"yes", "no", "left", "right", "above", "below"} for line in lines)
    assert [tuple(line["labels"]) for line in lines] == [sample.choices for sample in model.ranked[: len(lines)]]
    assert result.scores["relational"]["rank_acc"].chance == pytest.approx(0.4375, abs=0.1)


def _orders(letters: str) -> set[tuple[str, ...]]:
    from itertools import permutations

    return set(permutations(letters))


def test_what_stands_before_the_question_reaches_answers_and_not_visual_tokens(tmp_path: Path) -> None:
    model = Listening()
    run(tmp_path, model, fewshot=2, system="Be brief.", metrics=["accuracy", "rank_accuracy", "geometry"])
    for sample in model.asked + model.ranked:
        assert [message.role for message in sample.messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert model.shown
    assert all(len(sample.messages) == 1 for sample in model.shown)


def test_examples_may_stand_in_the_message_of_the_question(tmp_path: Path) -> None:
    model = Listening()
    run(tmp_path, model, fewshot=2, fewshot_as_multiturn=False)
    assert {len(sample.messages) for sample in model.asked} == {1}
    assert {sum(not isinstance(part, str) for part in sample.messages[0].content) for sample in model.asked} == {3}


@pytest.mark.parametrize(
    ("can", "fields", "message"),
    [
        ((), {"system": "Be brief."}, "reads nothing before the question; leave --system out"),
        (("context",), {"fewshot": 1}, "takes one image a question, and --fewshot needs several"),
        (("images",), {"fewshot": 1}, "reads nothing before the question; leave --fewshot out"),
    ],
)
def test_a_model_that_cannot_read_it_refuses(
    tmp_path: Path, can: tuple[Capability, ...], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(AdapterError, match=message):
        run(tmp_path, Listening(can=("generate", *can)), **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fewshot": 1, "budget": "grid:k=2"}, "--fewshot: a token budget applies to the question's image alone"),
        ({"system": "S", "budget_sweep": True}, "--system: a token budget"),
        ({"fewshot": -1}, "--fewshot"),
        ({"fewshot": 65}, "--fewshot"),
        ({"prompt_format": "instrct"}, r"no prompt format 'instrct'. Did you mean 'instruct'"),
        ({"gen": {"tempature": 1}}, "--gen: tempature: unknown setting. Did you mean 'temperature'"),
        ({"gen": {"temperature": "hot"}}, "--gen: temperature"),
        ({"gen": {"temperature": float("nan")}}, "--gen: temperature"),
        ({"gen": {"top_p": 0}}, "--gen: top_p"),
        ({"gen": {"repeats": 0}}, "--gen: repeats"),
        ({"gen": "temperature"}, "k=v"),
        ({"max_new_tokens": 0}, "--max-new-tokens"),
        ({"chat_template_args": "a"}, "k=v"),
        ({"limit": 0}, "--limit"),
        ({"limit": 1.5}, "--limit"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(VtbenchError, match=message) as error:
        run(tmp_path, Listening(), **fields)
    assert "\n" not in str(error.value)


def test_examples_need_a_split_to_draw_from(tmp_path: Path) -> None:
    from host_fakes import quiz

    with pytest.raises(TaskError, match=r"no split `train` to draw --fewshot examples from; .* data\.train"):
        run(tmp_path, Listening(), tasks=[quiz(tmp_path)], fewshot=1)


def test_a_share_of_the_samples_is_rounded_up(tmp_path: Path) -> None:
    model = Listening()
    run(tmp_path, model, limit=0.0041)
    assert len(model.asked) >= 9  # 2,000 x .0041 = 8.2, and the samples that are asked again for the order's sake
    assert len({sample.id for sample in model.asked}) == 9


@pytest.mark.parametrize(
    ("traits", "fields", "tokens"),
    [
        (Traits(prompt_format=PLAIN), {}, 8),
        (Traits(), {}, 32),
        (Traits(reasons=True), {}, 32 + 4096),
        (Traits(reasons=True), {"max_new_tokens": 100}, 100),
        (Traits(), {"max_new_tokens": 5, "prompt_format": "plain"}, 5),
        (Traits(), {"tasks": ["scene_graph"], "metrics": ["scene_graph"]}, 256),
    ],
)
def test_room_for_the_answer(tmp_path: Path, traits: Traits, fields: dict[str, Any], tokens: int) -> None:
    model = Listening(traits)
    result = run(tmp_path, model, **fields)
    assert model.tokens == {tokens}
    (config,) = result.document["configs"].values()
    assert config["max_new_tokens"] == tokens


def test_generation_settings_reach_a_factory_that_takes_them(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def taking(generation: Generation | None = None, chat_template_args: Mapping[str, Any] | None = None) -> object:
        seen.update(generation=generation, args=chat_template_args)
        return Listening()

    registry = Registry({"test": Plugin(taking=taking, deaf=lambda: Listening())})

    def ask(model: str, **fields: Any) -> None:
        vtbench.run(
            model, ["coarse"], limit=4, metrics=["accuracy"], output=tmp_path, registry=registry, report=False, **fields
        )

    ask("taking")
    assert seen == {"generation": None, "args": None}, "nothing is passed that was not asked for"
    ask("taking", gen="temperature=0.5,until=;", chat_template_args="enable_thinking=false")
    assert seen == {"generation": Generation(temperature=0.5, until=(";",)), "args": {"enable_thinking": False}}
    for fields, flag in (({"gen": "temperature=1"}, "--gen"), ({"chat_template_args": "a=1"}, "--chat-template-args")):
        with pytest.raises(AdapterError, match=f"model 'deaf' takes no {flag}; leave it out"):
            ask("deaf", **fields)
    with pytest.raises(VtbenchError, match="has no setting 'generation'"):
        ask("taking", model_args={"generation": 1})


def test_the_seed_of_an_answer_is_its_samples_and_its_repeats() -> None:
    one, other = Sample("a", 0, (), "?", ""), Sample("b", 0, (), "?", "")
    again = Sample("a", 0, (), "?", "", repeat=1)
    seeds = {Generation(seed=s).seed_of(sample) for s in (0, 1) for sample in (one, other, again)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert Generation().seed_of(one) == Generation(temperature=0.3).seed_of(one)
