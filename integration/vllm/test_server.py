"""The `openai` adapter with vLLM's server gives the outputs of `llava` for the embedded checkpoint.

The server has the checkpoint under the name `llava`. The reference is `llava` in float32.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import NEW_TOKENS
from vtbench.adapter import Adapter
from vtbench.errors import AdapterError, SampleError
from vtbench.types import Output, Sample
from vtbench_openai import openai

RANKED = slice(80, 120)
"""Some items of both tasks: a request for every choice is slow on a CPU."""
NATS = 1e-3
"""Largest difference of two log-probabilities of one choice: float32 sums in different order, as in test_engine.py."""


@pytest.fixture(scope="module")
def adapter(server: str) -> Iterator[Adapter]:
    made = openai(base_url=server, model="llava", probe="embedded", timeout=600)
    yield made
    made.close()


def _by_llava(llava: Adapter, samples: list[Sample], how: str) -> list[Output]:
    parts = [samples[start : start + 20] for start in range(0, len(samples), 20)]
    asks = {"generate": lambda part: llava.generate(part, NEW_TOKENS), "rank": llava.rank}
    return [output for part in parts for output in asks[how](part)]


def test_greedy_answers_are_those_of_llava(llava, samples, answers):
    expected = _by_llava(llava, samples, "generate")
    differ = [i for i in range(len(samples)) if answers[i].text != expected[i].text]
    print(f"\n{len(differ)} of {len(samples)} greedy answers differ")
    for i in differ:
        print(f"  {samples[i].id}: llava {expected[i].text!r}, over HTTP {answers[i].text!r}")
    assert len(differ) <= 0.01 * len(samples)
    assert [output.tokens_in for output in answers] == [output.tokens_in for output in expected]
    assert len({output.text for output in answers}) > 10, "identical answers would show nothing"


def test_choices_are_ranked_as_by_llava(adapter, llava, samples):
    closed = [
        dataclasses.replace(sample, choices=(*sample.choices, "the large red circle")) for sample in samples[RANKED]
    ]
    mine, theirs = adapter.rank(closed), _by_llava(llava, closed, "rank")
    apart = [np.abs(np.subtract(a.logprobs, b.logprobs)).max() for a, b in zip(mine, theirs, strict=True)]
    print(f"\nlog-probabilities of {len(closed)} samples' choices: at most {max(apart):.2g} nats apart")
    assert max(apart) < NATS
    for part in ("logprob_tokens", "tokens_in"):
        assert [getattr(output, part) for output in mine] == [getattr(output, part) for output in theirs]
    assert all(output.logprob_tokens[-1] > 1 for output in mine), "choices of several tokens are the harder case"


def test_a_probe_gives_the_visual_tokens_of_llava(adapter, llava, samples):
    assert adapter.image_size == llava.image_size
    for mine, theirs in zip(
        adapter.visual_tokens(samples[:16], adapter.layers),
        llava.visual_tokens(samples[:16], adapter.layers),
        strict=True,
    ):
        assert torch.equal(mine.tokens, theirs.tokens)


def test_a_prompt_that_is_too_long_fails_alone(adapter, samples, answers):
    long = dataclasses.replace(samples[0], prompt="left of " * 5000)
    batch = [samples[1], long, samples[2]]
    with pytest.raises(SampleError, match=r"refuses the request \(400\).*tokens"):
        adapter.generate(batch, NEW_TOKENS)
    assert adapter.generate([batch[0]], NEW_TOKENS) == answers[1:2]


def test_an_unknown_model_is_refused_with_the_served_one(server):
    with pytest.raises(AdapterError, match=r"has no model 'lava'. It has: llava\."):
        openai(base_url=server, model="lava")
    with pytest.raises(AdapterError, match="base_url usually ends in /v1"):
        openai(base_url=server.removesuffix("/v1"), model="llava").generate([], 1)


def test_a_run_has_rs_and_counts_tokens(server, tmp_path: Path):
    command = [sys.executable, "-m", "vtbench", "run", "--model", "openai", "--tasks", "relational", "--limit", "128"]
    command += ["--metrics", "accuracy,redundancy", "--prompt-format", "plain", "--output", str(tmp_path), "--json"]
    command += ["--model-args", f"base_url={server},model=llava,probe=embedded,price_in=1,timeout=600"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    assert document["results"]["relational"]["rs,none"] is not None
    assert document["results"]["relational"]["acc,none"] > 0.7
    spent = document["spent"]["relational"]
    assert spent["cost"] == pytest.approx(spent["tokens_in"] / 1e6)
