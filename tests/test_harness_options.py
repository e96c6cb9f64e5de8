"""lm-eval's words on the command line of `vtbench run`: what they mean, and which are refused with our own word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_fakes import quiz, registry

from vtbench.cli import app, status
from vtbench.config import RunConfig
from vtbench.console import harness_options
from vtbench.console.harness_options import REFUSED, from_gen_kwargs
from vtbench.errors import VtbenchError

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The configs of the runs that were asked for; none is run."""
    seen: list[RunConfig] = []

    def no_run(config: RunConfig, **_: Any) -> Any:
        seen.append(config)
        raise VtbenchError("stop")

    monkeypatch.setattr("vtbench.engine.loop.run", no_run)
    return seen


def config_of(configured: list[RunConfig], *words: str) -> RunConfig:
    assert status(["run", "--model", "fake", "--tasks", "relational", *words], registry()) == 2
    return configured[-1]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("--model_args a=1,b=[2]", "--model-args a=1,b=[2]"),
        ("--batch_size 4", "--batch-size 4"),
        ("--num_fewshot 4", "--fewshot 4"),
        ("--num_fewshot=4 --fewshot_as_multiturn", "--fewshot 4"),
        ("--fewshot_as_multiturn true", "--fewshot-as-multiturn"),
        ("--fewshot_as_multiturn False", "--no-fewshot-as-multiturn"),
        ("--fewshot_as_multiturn=no", "--no-fewshot-as-multiturn"),
        ("--system_instruction x", "--system x"),
        ("--use_cache kept", "--cache kept"),
        ("--output_path there", "--output there"),
        ("--limit 0.1", "--limit 0.1"),
        ("--limit 8.0", "--limit 8"),
        ("--predict_only --log_samples", "--predict-only"),
        ("--apply_chat_template", ""),
        ("--gen_kwargs max_gen_toks=64", "--max-new-tokens 64"),
        ("--gen_kwargs max_new_tokens=64", "--max-new-tokens 64"),
        ("--gen_kwargs do_sample=true,temperature=0.7,top_p=0.9", "--gen temperature=0.7,top_p=0.9"),
        ("--gen_kwargs temperature=0.0,do_sample=false", "--gen temperature=0.0"),
        ("--gen_kwargs until=['.']", "--gen until=['.']"),
        ("--gen_kwargs top_k=0,num_beams=1,max_tokens=8", "--max-new-tokens 8"),
        ("--gen_kwargs temperature=1 --gen repeats=4", "--gen repeats=4,temperature=1"),
        ("--max_new_tokens 8", "--max-new-tokens 8"),
    ],
)
def test_a_word_of_theirs_means_ours(configured: list[RunConfig], theirs: str, ours: str) -> None:
    assert config_of(configured, *theirs.split()) == config_of(configured, *ours.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--gen_kwargs max_gen_toks=8,max_new_tokens=8", "max_gen_toks and max_new_tokens are one thing"),
        ("--gen_kwargs do_sample=true", "do_sample=true needs a temperature above 0"),
        ("--gen_kwargs do_sample=true,temperature=0", "do_sample=true needs a temperature above 0"),
        ("--gen_kwargs do_sample=false,temperature=1", "do_sample=false is greedy, and temperature=1 is not"),
        ("--gen_kwargs do_sample=maybe", "do_sample must be true or false, not 'maybe'"),
        ("--gen_kwargs num_beams=4", "num_beams=4: there is no beam search"),
        ("--gen_kwargs stop=x", "--gen-kwargs: there is no 'stop' here"),
        ("--gen_kwargs repetition_penalty=1.1", "there is no 'repetition_penalty' here"),
        ("--gen_kwargs x", "--gen-kwargs are written k=v,k=v"),
        ("--gen_kwargs temperature=1 --gen temperature=0", "--gen-kwargs sets the same as --gen temperature"),
        ("--gen_kwargs max_gen_toks=1 --max-new-tokens 2", "sets the same as --max-new-tokens"),
        ("--seed 0,1234,1234,1234", "lm-eval's last seed is --fewshot-seed here"),
        ("--batch_size auto:4", "--batch-size: `auto` is measured all the time"),
        ("--output_path there/results.json", "--output: there/results.json: this is a directory here"),
        ("--use_cache kept.db", "--cache: kept.db: this is a directory here"),
        ("--apply_chat_template chatml", "--model-args chat_template=NAME"),
        ("--log_samples yes", "every run keeps its samples"),
        ("--fewshot_as_multiturn=maybe", "--fewshot-as-multiturn: must be true or false, not 'maybe'"),
        *((f"--{name.replace('-', '_')}", f"--{name}: {cure}") for name, cure in REFUSED.items()),
        *((f"--{name} x", f"--{name}: {cure}") for name, cure in REFUSED.items()),
    ],
)
def test_what_is_not_the_same_is_refused_on_one_line(
    configured: list[RunConfig], capsys: Captured, words: str, message: str
) -> None:
    assert status(["run", "--model", "fake", "--tasks", "relational", *words.split()], registry()) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not configured


def test_no_word_is_both_ours_and_refused() -> None:
    names = [option.opts for option in app.commands["run"].params]
    flat = [name for options in names for name in options]
    assert len(flat) == len(set(flat))


def test_their_seed_beside_their_words_is_said_to_be_another(configured: list[RunConfig], capsys: Captured) -> None:
    assert config_of(configured, "--num_fewshot", "2", "--seed", "7").seed == 7
    assert "warning: --seed draws the items of tasks here" in capsys.readouterr().err
    assert config_of(configured, "--fewshot", "2", "--seed", "7").seed == 7
    assert "warning" not in capsys.readouterr().err


def test_underscores_are_hyphens_for_every_command(tmp_path: Path, capsys: Captured) -> None:
    assert status(["check", "nosuch", "--model_args", "x"], registry()) == 2
    assert "model arguments are written k=v,k=v" in capsys.readouterr().err


def test_a_run_in_their_words(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path, 20)
    words = f"run --model fake --tasks {task} --batch_size 4 --limit 0.25 --output_path {tmp_path / 'out'} --json"
    assert status([*words.split(), "--log_samples", "--apply_chat_template"], registry()) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n-samples"]["quiz"]["original"] == 5
    assert Path(document["run"]).parent == tmp_path / "out"


def test_gen_kwargs_take_what_generation_takes() -> None:
    """Every key that is passed on is a setting of `--gen`, under the same name."""
    from dataclasses import fields

    from vtbench.adapter import Generation

    assert set(harness_options._SAME) <= {field.name for field in fields(Generation)}
    assert from_gen_kwargs("") == {}
