"""Fixtures: a local endpoint, its adapter, and the command line that runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint, serve
from openai_runs import Ran
from PIL import Image

import vtbench_openai
from vtbench.cli import status
from vtbench.registry import Registry
from vtbench.scoring import plugin as scoring
from vtbench_openai import retry


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no proxy between the test and its endpoint, and little waiting."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.01)


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with serve(FakeEndpoint()) as served:
        yield served


@pytest.fixture
def make(endpoint: FakeEndpoint) -> Iterator[Callable[..., Any]]:
    """Return a function that makes an adapter of the endpoint, and closes it at the end."""
    made = []

    def adapter(**arguments: Any) -> Any:
        made.append(vtbench_openai.openai(**{"base_url": endpoint.url, "model": "tiny", **arguments}))
        endpoint.asked.clear()
        return made[-1]

    yield adapter
    for each in made:
        each.close()


@pytest.fixture
def run(endpoint: FakeEndpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return a function that runs 16 questions against the endpoint, given further arguments of the model."""
    Image.new("RGB", (8, 8), (200, 30, 30)).save(tmp_path / "red.png")
    rows = [
        {"image": "red.png", "prompt": f"question {i}?", "target": "yes", "choices": ["yes", "no"]} for i in range(16)
    ]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = tmp_path / "quiz.yaml"
    task.write_text("task: quiz\ndata: {path: quiz.jsonl, choices: choices}\nmetrics: [accuracy, rank_accuracy]\n")

    def command(*more: str, **arguments: Any) -> Ran:
        given = {"base_url": endpoint.url, "model": "tiny", "retries": 2, **arguments}
        pairs = ",".join(f"{name}={json.dumps(value)}" for name, value in given.items())
        out = tmp_path / "out"
        words = [
            "run",
            "--model",
            "openai",
            "--model-args",
            pairs,
            "--tasks",
            str(task),
            "--output",
            str(out),
            "--no-report",
        ]
        code = status([*words, *more], Registry({"openai": vtbench_openai, "scoring": scoring}))
        said = capfd.readouterr()
        return Ran(code, said.out, said.err, out)

    return command
