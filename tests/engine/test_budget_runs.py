"""Runs under a token budget, and sweeps of them, of a model whose answers hang on one token of known place."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vtbench
import vtbench_budgets
from vtbench.budget import Budget, checked_weights
from vtbench.cli import status
from vtbench.errors import PluginError, VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.scenes.rng import HashRng
from vtbench.settings import split_specs
from vtbench.types import Output, Sample, VisualTokens
from vtbench_budgets import frontier, frontier_points, tables

TOKENS = 16


def holder(sample: Sample) -> int:
    return HashRng("holder", sample.id).below(TOKENS)


class Holder:
    """Knows the answer where the decoder sees the one token that holds it, by far the longest. Says no otherwise.

    Other tokens are copies of 1 to 8 directions, by the sample's index.
    """

    capabilities = frozenset({"generate", "rank", "visual_tokens", "budget"})
    image_size = None
    layers = ("connector",)

    def __init__(self, can: Sequence[str] = tuple(capabilities), interrupts_on: str = "") -> None:
        self.capabilities, self.interrupts_on = frozenset(can), interrupts_on
        self.asked: list[str | None] = []

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        tokens = np.stack([np.eye(8)[np.arange(TOKENS) % (1 + sample.index % 8)] for sample in samples])
        for row, sample in zip(tokens, samples, strict=True):
            row[holder(sample)] *= 100
        return [VisualTokens(layer, tokens) for layer in layers]

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        if self.interrupts_on in {sample.prompt for sample in samples}:
            raise KeyboardInterrupt
        self.asked.append(budget and budget.name)
        weights = [np.eye(TOKENS)] * len(samples)
        if budget is not None:
            weights = checked_weights(budget, self.visual_tokens(samples, ["connector"])[0], [s.id for s in samples])
        return [
            Output(
                sample.target if rows[:, holder(sample)].any() else "no",
                tokens_in=3 + len(rows),
                visual_tokens_in=len(rows),
                prefill_seconds=len(rows) / 1000,
                decode_seconds=0.002,
            )
            for sample, rows in zip(samples, weights, strict=True)
        ]

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        said = self.generate(samples, 1, budget)
        return [Output(logprobs=(0.0, -1.0) if o.text == "yes" else (-1.0, 0.0), logprob_tokens=(1, 1)) for o in said]

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": "holder"}

    def close(self) -> None:
        pass


class Shortest:
    """Keeps all tokens but the longest: the worst that there is."""

    name = "shortest"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        lengths = np.square(visual.tokens).sum(axis=2)
        return [np.delete(np.eye(TOKENS), row.argmax(), axis=0) for row in lengths]


class Plugin:
    """A third party's model and budget."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.model: Holder | None = None

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        def make(**arguments: Any) -> Holder:
            """One token holds the answer."""
            self.model = Holder(**arguments, **self.arguments)
            return self.model

        return {"holder": make}

    @hookimpl
    def vtbench_budgets(self) -> dict[str, Callable[..., Budget]]:
        def shortest() -> Budget:
            """The shortest tokens."""
            return Shortest()

        return {"shortest": shortest}


def registry(plugin: Plugin | None = None) -> Registry:
    return Registry({"mine": plugin or Plugin(), "budgets": vtbench_budgets})


def quiz(directory: Path, n: int, name: str = "quiz", metrics: str = "[accuracy]") -> Path:
    """Write n questions whose answer is yes."""
    directory.mkdir(exist_ok=True)
    Image.new("RGB", (4, 4)).save(directory / "black.png")
    row = {"image": "black.png", "target": "yes", "choices": ["yes", "no"]}
    (directory / f"{name}.jsonl").write_text("".join(json.dumps(row | {"prompt": f"{i}?"}) + "\n" for i in range(n)))
    path = directory / f"{name}.yaml"
    path.write_text(f"task: {name}\ndata: {{path: {name}.jsonl, choices: choices}}\nmetrics: {metrics}\n")
    return path


def go(task: Path, **fields: Any) -> RunResult:
    given = {"registry": registry(), "output": str(task.parent / "out"), "report": False}
    return vtbench.run(**{"model": "holder", "tasks": [str(task)], **given, **fields})


def observations(result: RunResult, metric: str) -> list[dict[str, Any]]:
    lines = (result.path / "samples.jsonl").read_text().splitlines()
    return [json.loads(line)["scores"][metric] for line in lines]


def test_every_answer_of_a_run_is_under_its_budget(tmp_path: Path) -> None:
    plugin = Plugin()
    result = go(
        quiz(tmp_path, 400, metrics="[accuracy, rank_accuracy]"), budget="random:k=4", registry=registry(plugin)
    )
    scores = result.scores["quiz"]
    for name in ("acc", "rank_acc"):
        assert scores[name].value == pytest.approx(4 / TOKENS, abs=4 * 0.43 / 20)
    assert scores["acc"].value == scores["rank_acc"].value
    assert (scores["tokens_kept"].value, scores["tokens_kept"].detail) == (4, {"least": 4, "most": 4})
    assert (scores["prefill_ms"].value, scores["decode_ms"].value) == (pytest.approx(4), pytest.approx(2))
    assert observations(result, "budget_cost")[0] == {"tokens": 4, "prefill": 0.004, "decode": 0.002}
    assert plugin.model
    assert set(plugin.model.asked) == {"random 4 tokens, seed 0"}
    run = json.loads((result.path / "run.json").read_text())
    assert run["config"]["budget"] == run["keys"]["budget"] == "random:k=4"


def test_a_budget_of_all_tokens_answers_as_a_run_without(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    whole, all_of_it = go(task), go(task, budget="grid:f=1")
    assert whole.scores["quiz"]["acc"] == all_of_it.scores["quiz"]["acc"]
    assert whole.document["left_out"] == all_of_it.document["left_out"]


def test_the_budget_is_part_of_the_digest_and_older_runs_keep_theirs(tmp_path: Path) -> None:
    task = quiz(tmp_path, 3)
    runs = [go(task, **more) for more in ({}, {"budget": "grid:k=4"}, {"budget": "grid:k=5"}, {"budget_sweep": True})]
    facts = [json.loads((result.path / "run.json").read_text()) for result in runs]
    assert len({fact["digest"] for fact in facts}) == 4
    assert not {"budget", "budget_sweep"} & facts[0]["keys"].keys()
    with pytest.raises(VtbenchError, match=r"differs in budget \(\"grid:k=5\" there, \"grid:k=6\" here\)"):
        go(task, budget="grid:k=6", resume=str(runs[2].path))


def test_a_fitted_budget_reaches_its_mean_and_says_so_for_each_task(tmp_path: Path) -> None:
    """Images of 1 to 8 directions, in turn: the more, the more tokens. A second task is fitted anew."""
    tasks = [quiz(tmp_path, 160), quiz(tmp_path, 3, "short")]
    result = go(tasks[0], tasks=[str(task) for task in tasks], budget="complexity:mean=6,keep=grid")
    facts = json.loads((result.path / "run.json").read_text())["budgets"]
    assert facts["quiz"]["pictures"] == 128
    assert facts["short"]["pictures"] == 3
    assert facts["quiz"]["budget"] != facts["short"]["budget"]
    kept = [seen["tokens"] for seen in observations(result, "budget_cost")]
    for task, counts in {"quiz": kept[:128], "short": kept[160:]}.items():
        assert np.mean(counts) == pytest.approx(facts[task]["mean"])
        assert facts[task]["mean"] == pytest.approx(6, abs=0.5)
    assert sorted(kept[:8]) == kept[:8]
    assert kept[0] < 4 < 8 <= kept[7]


@pytest.mark.parametrize("budget", ["complexity:mean=6", "saliency:p=0.5", "random:mean=3.5"])
def test_batches_do_not_matter_and_a_resumed_run_is_the_same(tmp_path: Path, budget: str) -> None:
    task = quiz(tmp_path, 40)
    one, many = (go(task, budget=budget, batch_size=size) for size in (1, 16))
    assert observations(one, "budget_cost") == observations(many, "budget_cost")
    cut = quiz(tmp_path / "cut", 40)
    with pytest.raises(KeyboardInterrupt):
        go(cut, budget=budget, batch_size=8, registry=registry(Plugin(interrupts_on="20?")))
    resumed = go(cut, budget=budget, batch_size=8, resume=True)
    assert resumed.document["scores"] == many.document["scores"]


def test_a_sweep_tells_who_beats_random_and_who_loses(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 300), budget_sweep=["saliency:p=0.5", "shortest", "farthest_point:k=4", "random:k=4"])
    scores = result.scores["quiz"]
    assert scores["acc"].value == scores["frontier.all"].value == 1
    assert (scores["frontier.none"].value, scores["frontier.none"].detail["tokens"]) == (0, 0)
    best, worst = scores["frontier.saliency:p=0.5"], scores["frontier.shortest"]
    assert (best.value, best.detail["tokens"], best.flags) == (1, 1, ("above_random", "above_grid"))
    assert (worst.value, worst.detail["tokens"], worst.flags) == (0, 15, ("below_random", "below_grid"))
    assert best.detail["random"]["value"] == pytest.approx(1 / TOKENS, abs=4 * 0.25 / np.sqrt(300))
    assert worst.detail["random"]["value"] == pytest.approx(15 / TOKENS, abs=4 * 0.25 / np.sqrt(300))
    for name in ("saliency:p=0.5", "shortest", "farthest_point:k=4"):
        own = scores[f"frontier.{name}"]
        for rival in ("random", "grid"):
            row = own.detail[rival]
            assert row["tokens"] == own.detail["tokens"]
            assert row["low"] <= row["over"] <= row["high"]
            assert row["over"] == pytest.approx(own.value - row["value"])
    alone = scores["frontier.random:k=4"]
    assert alone.detail["random"]["over"] == 0
    assert not alone.flags


def test_the_curve_has_a_point_for_every_budget_and_rival(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 30), budget_sweep="saliency:p=0.5,farthest_point:k=4,merge:t=0.9")
    curve = result.scores["quiz"]["frontier.all"].detail["curve"]
    lines = {
        policy: sorted(row["tokens"] for row in curve if row["policy"] == policy)
        for policy in {row["policy"] for row in curve}
    }
    assert lines["any"] == [0, TOKENS]
    assert lines["saliency"] == [1]
    assert lines["random"] == lines["grid"]
    assert len(lines["random"]) == 3
    assert {row["n"] for row in curve} == {30}


def test_rivals_keep_as_many_on_average_as_a_budget_whose_counts_differ(tmp_path: Path) -> None:
    """Merging leaves 1 to 8 groups, 4.5 on average of the first 128 images and of all 400."""
    scores = go(quiz(tmp_path, 400), budget_sweep=["merge:t=0.9"]).scores["quiz"]
    detail = scores["frontier.merge:t=0.9"].detail
    assert detail["tokens"] == pytest.approx(4.5)
    for rival in ("random", "grid"):
        assert detail[rival]["tokens"] == pytest.approx(4.5, abs=4 * 0.5 / 20)


def test_budgets_that_are_one_are_asked_once(tmp_path: Path) -> None:
    plugin = Plugin()
    go(quiz(tmp_path, 3), batch_size=4, budget_sweep="random:k=4,farthest_point:k=4", registry=registry(plugin))
    assert plugin.model
    assert len(plugin.model.asked) == len(set(plugin.model.asked)) == 5, "all, none, random, grid, farthest_point"


def test_a_resumed_sweep_gives_the_same_scores(tmp_path: Path) -> None:
    sweep = ["merge:t=0.9", "complexity:mean=6"]
    whole = go(quiz(tmp_path, 40), batch_size=8, budget_sweep=sweep)
    task = quiz(tmp_path / "cut", 40)
    with pytest.raises(KeyboardInterrupt):
        go(task, batch_size=8, budget_sweep=sweep, registry=registry(Plugin(interrupts_on="20?")))
    resumed = go(task, batch_size=8, budget_sweep=sweep, resume=True)
    assert resumed.document["scores"] == whole.document["scores"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"budget": "randon:k=4"}, "unknown budget 'randon'. Did you mean 'random'"),
        ({"budget": "shortest:k=4"}, "budget 'shortest:k=4' has no setting 'k'"),
        ({"budget": "random:k=17"}, "a token budget of 17 where an image has 16 visual tokens; ask for less"),
        ({"budget": "complexity:mean=17"}, "a token budget of 17 where an image has 16 visual tokens"),
        ({"budget_sweep": "grid:k=17"}, "a token budget of 17 where an image has 16 visual tokens"),
        ({"budget_sweep": ["gird:k=1"]}, "unknown budget 'gird'. Did you mean 'grid'"),
        ({"budget": "grid:k=1", "budget_sweep": True}, "--budget-sweep: .*leave --budget out"),
        ({"budget": "grid:k=1", "model_args": {"can": ["generate"]}}, "'holder' takes no token budget; leave --budget"),
        (
            {"budget_sweep": True, "model_args": {"can": ["generate"]}},
            "takes no token budget; leave --budget-sweep out",
        ),
        (
            {"budget": "complexity:f=0.5", "model_args": {"can": ["generate", "budget"]}},
            "'holder' gives no visual tokens; leave --budget out",
        ),
    ],
)
def test_bad_budgets_are_one_line(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(VtbenchError, match=says) as found:
        go(quiz(tmp_path, 4), **fields)
    assert "\n" not in str(found.value)


def test_metrics_of_their_own_budgets_are_left_out_under_one(tmp_path: Path) -> None:
    result = go(quiz(tmp_path, 4, metrics="[accuracy, budget_frontier]"), budget="grid:k=4")
    assert result.document["left_out"]["quiz"] == {
        "budget_frontier": "it compares with the whole image, which a run under --budget never shows"
    }


def test_a_model_that_does_not_count_its_tokens_has_no_cost_and_no_frontier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Holder, "generate", lambda self, samples, *_: [Output("yes")] * len(samples))
    result = go(quiz(tmp_path, 4), budget="grid:k=4")
    assert result.document["left_out"]["quiz"] == {"budget_cost": "none of the samples has what it scores"}
    assert not {"tokens_kept", "prefill_ms", "decode_ms"} & result.scores["quiz"].keys()
    assert result.exit_status == 0
    swept = go(quiz(tmp_path, 4), budget_sweep=True)
    assert "does not report how many visual tokens it read" in swept.document["left_out"]["quiz"]["budget_frontier"]
    assert swept.document["failed"] == {"quiz": 0}


def test_two_budgets_of_one_name_are_refused() -> None:
    with pytest.raises(PluginError, match=r"two plugins bring the budget 'shortest': 'a' of a 0 and 'b' of b 0"):
        Registry({"a": Plugin(), "b": Plugin()}).named("budget")


def test_the_command_line_prints_the_budget_the_frontier_and_the_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = quiz(tmp_path, 40)
    words = ["run", "--model", "holder", "--tasks", str(task), "--output", str(tmp_path / "out"), "--no-report"]
    assert status([*words, "--budget", "complexity:mean=6"], registry()) == 0
    out, _ = capsys.readouterr()
    assert "tokens_kept" in out
    assert "fitted on 40 images, of which the mean is" in out
    assert status([*words, "--budget-sweep", "saliency:p=0.5,shortest"], registry()) == 0
    out, _ = capsys.readouterr()
    assert "accuracy against visual tokens · quiz" in out
    assert "random at the same mean count: beaten by saliency:p=0.5; beats shortest" in out
    assert status([*words, "--budget-sweep"], registry()) == 0
    out, _ = capsys.readouterr()
    assert all(policy in out for policy in frontier.POLICIES)
    file = tmp_path / "run.yaml"
    file.write_text("budget_sweep: [saliency:p=0.5]\n")
    assert status([*words, "--config", str(file), "--json"], registry()) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["scores"]["quiz"]["frontier.saliency:p=0.5"]["value"] == 1
    assert "beaten by saliency:p=0.5" in err


def test_budgets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["ls", "budgets", "--json"], registry()) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["shortest"] == {"name": "shortest", "plugin": "mine", "about": "The shortest tokens."}
    assert {"complexity", "downsample", "grid", "merge", "random", "saliency", "farthest_point"} <= rows.keys()
    assert all(row["about"] for row in rows.values())


def test_budgets_are_split_at_commas_between_them() -> None:
    assert split_specs("a:k=1,seed=2,b,c:t=0.5 , d") == ["a:k=1,seed=2", "b", "c:t=0.5", "d"]


@pytest.mark.parametrize(("module", "examples"), [(frontier, 1), (frontier_points, 0), (tables, 3)])
def test_the_examples_in_the_docstrings_are_right(module: Any, examples: int) -> None:
    assert doctest.testmod(module) == (0, examples)
