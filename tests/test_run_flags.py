"""Flags of `vtbench run` that decide how a model is asked: every mistake is one line that names the flag."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_fakes import quiz, registry

import vtbench
from vtbench.cli import status
from vtbench.errors import VtbenchError

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prompt-format", "letter"], "task 'quiz' has no prompt format 'letter'. Did you mean 'letters'?"),
        (["--prompt-format", ""], "--prompt-format: "),
        (["--gen", "temp=1"], "--gen: temp: unknown setting. Did you mean 'temperature'?"),
        (["--gen", "temperature=hot"], "--gen: temperature: must be a valid number"),
        (["--gen", "temperature=-1"], "--gen: temperature: must be greater than or equal to 0"),
        (["--gen", "temperature=.nan"], "--gen: temperature: must be a finite number"),
        (["--gen", "top_p=0"], "--gen: top_p: must be greater than 0"),
        (["--gen", "top_p=1.5"], "--gen: top_p: must be less than or equal to 1"),
        (["--gen", "top_k=0"], "--gen: top_k: must be greater than or equal to 1"),
        (["--gen", "repeats=0"], "--gen: repeats: must be greater than or equal to 1"),
        (["--gen", "repeats=1.5"], "--gen: repeats: must be a valid integer"),
        (["--gen", "seed=-1"], "--gen: seed: must be greater than or equal to 0"),
        (["--gen", "until=3"], "--gen: until: "),
        (["--gen", "x"], "--gen are written k=v,k=v; 'x' is not"),
        (["--gen", "temperature=1,temperature=2"], "--gen: temperature is there twice"),
        (["--chat-template-args", "x"], "--chat-template-args are written k=v,k=v"),
        (["--max-new-tokens", "0"], "--max-new-tokens: must be greater than or equal to 1"),
        (["--max-new-tokens", "1.5"], "--max-new-tokens: must be a valid integer"),
        (["--max-new-tokens", "9999999"], "--max-new-tokens: must be less than or equal to 1000000"),
        (["--system", ""], "--system: "),
        (["--cache", ""], "--cache: "),
        (["--fewshot", "-1"], "--fewshot: must be greater than or equal to 0"),
        (["--fewshot", "two"], "--fewshot: must be a valid integer"),
        (["--fewshot", "65"], "--fewshot: must be less than or equal to 64"),
        (["--fewshot-seed", "-1"], "--fewshot-seed: must be greater than or equal to 0"),
        (["--limit", "0"], "--limit: must be greater than 0"),
        (["--limit", "1.5"], "--limit: "),
        (["--limit", "-0.1"], "--limit: "),
        (["--predict-only=yes"], "--predict-only"),
    ],
)
def test_a_wrong_value_is_one_line(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    task = quiz(tmp_path / "own")
    task.write_text(task.read_text() + "formats: {letters: {prompt: '{question} {options}', answer: letter}}\n")
    assert status(["run", "--model", "fake", "--tasks", str(task), *words], registry()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gen": {"temp": 1}}, "--gen: temp: unknown setting"),
        ({"gen": ["temperature"]}, "--gen: must be a valid dictionary"),
        ({"fewshot": "many"}, "--fewshot: must be a valid integer"),
        ({"fewshot": None}, None),
        ({"fewshot_as_multiturn": "maybe"}, "--fewshot-as-multiturn: must be a valid boolean"),
        ({"prompt_format": 3}, "has no prompt format '3'"),
        ({"limit": True}, None),
        ({"chat_template_args": "x"}, "--chat-template-args are written"),
    ],
)
def test_from_python_too(tmp_path: Path, fields: dict[str, object], message: str | None) -> None:
    task = quiz(tmp_path)

    def run() -> vtbench.RunResult:
        return vtbench.run("fake", [task], registry=registry(), output=tmp_path / "out", report=False, **fields)  # type: ignore[arg-type]

    if message is None:
        run()
        return
    with pytest.raises(VtbenchError) as refused:
        run()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_file_names_file_line_and_key(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "run.yaml"
    lines = ["model: fake", f"tasks: ['{quiz(tmp_path)}']", "fewshot: -1"]
    for wrong in ("fewshot: -1", "gen: temperature", "max_new_tokens: few", "num_fewshot: 4"):
        file.write_text("\n".join([*lines[:2], wrong]) + "\n")
        assert status(["run", "--config", str(file)], registry()) == 2
        err = capsys.readouterr().err
        assert f"run.yaml, line 3: {wrong.partition(':')[0]}" in err or "unknown key 'num_fewshot'" in err
        assert err.count("\n") == 1
