"""The `vllm` adapter with a real engine gives the outputs of `llava` for the embedded checkpoint.

All tests but the last, which runs the command, share one engine. The reference is `llava` in the same environment, in
float32 like the engine.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from conftest import NEW_TOKENS
from vtbench.adapter import Adapter
from vtbench.errors import AdapterError, SampleError
from vtbench.registry import Registry
from vtbench.types import Sample
from vtbench_hf.prompts import prompt_text

SMALL = {"enforce_eager": True, "max_model_len": 512, "kv_cache_memory_bytes": 2**27}
"""Compiling this model takes longer than all requests; its prompts have about 90 tokens, 9 KiB of cache each."""
NATS = 1e-4
"""Largest difference of two log-probabilities of one choice. Both come from float32 weights and activations, summed in
different order by different kernels: logits of size 10 are exact to about 1e-5, and 2e-5 was measured."""


@pytest.fixture(scope="module")
def adapter() -> Iterator[Adapter]:
    """The adapter. Closing it must end its processes."""
    before = _processes()
    made = Registry().adapter("vllm", SMALL)
    engine = _processes() - before
    assert engine, "the engine has processes of its own"
    yield made
    made.close()
    assert not psutil.wait_procs(engine, timeout=60)[1], "closing leaves processes behind"


def _processes() -> set[psutil.Process]:
    """Return the children of this process, without Python's resource tracker, which stays till the end."""
    running = psutil.Process().children(recursive=True)
    return {process for process in running if "resource_tracker" not in " ".join(process.cmdline())}


def _parts(samples: Sequence[Sample], size: int) -> list[Sequence[Sample]]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def test_greedy_answers_are_those_of_llava_but_for_ties(adapter, llava, samples, answers):
    expected = [output for part in _parts(samples, 20) for output in llava.generate(part, NEW_TOKENS)]
    differ = [i for i in range(len(samples)) if answers[i].text != expected[i].text]
    print(f"\n{len(differ)} of {len(samples)} greedy answers differ")
    for i in differ:
        gap = _gap(llava, samples[i], expected[i].text, answers[i].text)
        print(f"  {samples[i].id}: llava {expected[i].text!r}, vllm {answers[i].text!r}; {gap:.2g} nats apart")
    assert len(differ) <= 0.01 * len(samples)
    for part in ("tokens_in", "visual_tokens_in"):
        assert [getattr(output, part) for output in answers] == [getattr(output, part) for output in expected]
    assert len({output.text for output in answers}) > 10, "identical answers would show nothing"


def _gap(llava: Adapter, sample: Sample, one: str, other: str) -> float:
    """Return log p of the token of `one` minus that of `other` under `llava`, in nats, where the two first differ."""
    tokenizer, text = llava.tokenizer, prompt_text(llava.processor, sample)
    a, b = (
        [*tokenizer.encode(" " + answer, add_special_tokens=False), tokenizer.eos_token_id] for answer in (one, other)
    )
    same = next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    inputs = llava.processor(images=[*sample.images], text=text, return_tensors="pt", add_special_tokens=False)
    ids = torch.cat([inputs["input_ids"], torch.tensor([a[:same]], dtype=torch.long)], 1)
    with torch.no_grad():
        logits = llava.model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[0, -1]
    return float(logits[a[same]] - logits[b[same]])


def test_choices_are_ranked_as_by_llava(adapter, llava, samples):
    wordy = ("to the left of it", "right", "in front of the blue square", "no")
    closed = [sample for sample in samples if sample.choices]
    closed += [dataclasses.replace(sample, choices=wordy) for sample in samples[::10]]
    mine = adapter.rank(closed)
    theirs = [output for part in _parts(closed, 20) for output in llava.rank(part)]
    apart = [np.abs(np.subtract(a.logprobs, b.logprobs)).max() for a, b in zip(mine, theirs, strict=True)]
    print(f"\nlog-probabilities of {len(closed)} samples' choices: at most {max(apart):.2g} nats apart")
    assert max(apart) < NATS
    for a, b in zip(mine, theirs, strict=True):
        assert dataclasses.replace(a, logprobs=None) == dataclasses.replace(b, logprobs=None)
    assert max(n for output in mine for n in output.logprob_tokens) > 3, "choices of several tokens are the harder case"


def test_visual_tokens_are_those_of_llava(adapter, llava, samples):
    assert adapter.layers == ("connector", "encoder")
    for mine, theirs in zip(
        adapter.visual_tokens(samples[:64], adapter.layers),
        llava.visual_tokens(samples[:64], adapter.layers),
        strict=True,
    ):
        assert torch.equal(mine.tokens, theirs.tokens)
        np.testing.assert_array_equal(mine.boxes, theirs.boxes)


def test_outputs_do_not_depend_on_the_batch(adapter, samples, answers):
    some = samples[60:140:5]
    alone = [output for sample in some for output in adapter.generate([sample], NEW_TOKENS)]
    assert [output.text for output in alone] == [output.text for output in answers[60:140:5]]
    ranked, reverse = adapter.rank(some), adapter.rank(some[::-1])[::-1]
    for one, other in zip(ranked, reverse, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=NATS)


def test_a_prompt_that_is_too_long_fails_alone(adapter, samples, answers):
    long = dataclasses.replace(samples[0], prompt="left of " * 600)
    with pytest.raises(SampleError, match="512"):
        adapter.generate([samples[1], long, samples[2]], NEW_TOKENS)
    assert adapter.generate(samples[1:3], NEW_TOKENS) == answers[1:3]


def test_describe_names_the_checkpoint_and_the_engine(adapter, llava):
    described = json.loads(json.dumps(adapter.describe()))
    for same in ("checkpoint", "fingerprint", "architecture", "parameters", "device", "dtype"):
        assert described[same] == llava.describe()[same], same
    assert described["versions"].keys() == {"vllm", "torch", "transformers"}
    assert described["max_model_len"] == 512


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tensor_paralel_size": 2}, "Did you mean 'tensor_parallel_size'"),
        ({"gpu_memory_utilization": "lots"}, "gpu_memory_utilization: must be a valid number"),
        ({"logprobs_mode": "raw_logits"}, "leave it out"),
        ({"pretrained": "./no/such/directory"}, "there is no directory './no/such/directory'"),
        ({"dtype": "float31"}, "dtype=float31 is unknown"),
        ({"max_model_len": 10**6, "visual_tokens": False}, "max_model_len"),
        ({"visual_tokens": "no way"}, "visual_tokens: must be a valid boolean"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_argument_is_one_line(arguments, says):
    with pytest.raises(AdapterError, match=r"^[^\n]*$") as caught:
        Registry().adapter("vllm", arguments)
    assert says in str(caught.value)


def test_another_device_is_refused():
    with pytest.raises(AdapterError, match=r"device: this vLLM runs on cpu, not on cuda:1"):
        Registry().adapter("vllm", {}, device="cuda:1")


def test_a_run_has_rs_and_writes_one_document(tmp_path: Path):
    command = [sys.executable, "-m", "vtbench", "run", "--model", "vllm", "--tasks", "relational", "--limit", "100"]
    command += ["--output", str(tmp_path), "--json"]
    command += ["--model-args", ",".join(f"{name}={value}" for name, value in SMALL.items())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads(done.stdout)["results"]["relational"]
    assert scores["rs,none"] is not None
    assert scores["acc,none"] > 0.7
