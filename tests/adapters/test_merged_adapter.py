"""MergedAdapter: the same answers where a budget keeps every token, one prefill per prompt, and its timings."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch

import vtbench
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_families.qformer import QFormer
from vtbench_families.qwen2_vl import Qwen2VL
from vtbench_hf.merged_adapter import MergedAdapter

ALL = (
    "random:f=1",
    "grid:f=1",
    "downsample:f=1",
    "farthest_point:f=1",
    "saliency:p=1",
    "saliency:p=1,by=norm",
    "merge:t=1",
)
SOME = ("saliency:p=0.5", "farthest_point:k=2", "merge:t=0.2", "complexity:by=rank,keep=random", "random:mean=2.5")


OWN: dict[str, Any] = {"blip-2": QFormer, "qwen2_vl": Qwen2VL}
"""Adapters of the model types with position ids or a language model of their own."""


@pytest.fixture(scope="module", params=sorted({*tiny_models.MERGED, *OWN}))
def tiny(request) -> MergedAdapter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: MergedAdapter = OWN.get(request.param, MergedAdapter)(tiny_models.loaded(request.param))
        return made


@pytest.fixture(scope="module")
def embedded() -> Any:
    return Registry().adapter("llava", {}, "cpu", "float32")


@pytest.mark.parametrize("text", ALL)
def test_a_tiny_model_that_keeps_every_token_answers_as_ever(tiny, text):
    samples = tiny_models.batch()
    budget = Registry().budget(text)
    assert tiny.generate(samples, 6, budget) == tiny.generate(samples, 6)
    for kept, whole in zip(tiny.rank(samples, budget), tiny.rank(samples), strict=True):
        assert kept.logprobs == pytest.approx(whole.logprobs, abs=1e-5)
        assert kept.visual_tokens_in == whole.visual_tokens_in


@pytest.mark.parametrize("text", ALL)
def test_the_embedded_model_that_keeps_every_token_answers_as_ever(embedded, text):
    tasks = [load_task(find_task_files()[name]) for name in ("relational", "scene_graph")]
    samples = [task.sample(i, embedded.image_size) for task in tasks for i in range(8)]
    said = embedded.generate(samples, 24, Registry().budget(text))
    assert said == embedded.generate(samples, 24)
    assert {output.visual_tokens_in for output in said} == {64}


@pytest.mark.parametrize("text", SOME)
def test_the_decoder_reads_the_tokens_that_are_left(tiny, text):
    """Other prompts, other lengths: each row's count is its own, in company as alone."""
    samples = tiny_models.batch()
    budget = Registry().budget(text)
    whole, some = tiny.generate(samples, 2), tiny.generate(samples, 2, budget)
    read = tiny.cache.get("prefix")[1].cache
    assert read.get_seq_length() == max(output.tokens_in for output in some)
    for sample, before, after in zip(samples, whole, some, strict=True):
        assert 1 <= after.visual_tokens_in < before.visual_tokens_in
        assert before.tokens_in - after.tokens_in == before.visual_tokens_in - after.visual_tokens_in
        assert tiny.generate([sample], 2, budget) == [after]


def test_a_prompt_is_read_once_for_answers_and_likelihoods(tiny):
    """Also under a budget, and again where another budget comes between."""
    reads = []
    read = tiny._prefill

    def counted(inputs: Any) -> Any:
        reads.append(inputs["input_ids"].shape[1])
        return read(inputs)

    tiny._prefill = counted
    samples = tiny_models.batch()
    try:
        for budget in (
            None,
            Registry().budget("grid:k=2"),
            Registry().budget("grid:k=2"),
            Registry().budget("grid:k=1"),
        ):
            tiny.generate(samples, 3, budget)
            tiny.rank(samples, budget)
    finally:
        del tiny._prefill
    assert len(reads) == 3
    assert reads[0] > reads[1] > reads[2]


def test_prefill_and_decoding_are_timed_per_sample(tiny, monkeypatch):
    """By a clock on which the vision tower takes 100 seconds, every pass of the decoder 1, and a budget 10."""
    clock = [0.0]
    monkeypatch.setattr("vtbench_hf.merged_adapter.device_time", lambda device: clock[0])

    def slow(part: Any, name: str, seconds: float) -> None:
        inner = getattr(part, name)

        @functools.wraps(inner)
        def later(*args: Any, **kwargs: Any) -> Any:
            clock[0] += seconds
            return inner(*args, **kwargs)

        monkeypatch.setattr(part, name, later)

    slow(tiny.model, "get_image_features", 100)
    slow(tiny.language_model(), "forward", 1)
    slow(tiny, "_budget_weights", 10)
    samples = [tiny_models.sample(100 + i, "where?") for i in range(2)]
    whole = tiny.generate(samples, 3)
    some = tiny.generate(samples, 3, Registry().budget("grid:k=2"))
    assert {output.prefill_seconds for output in whole} == {0.5}
    assert {output.prefill_seconds for output in some} == {5.5}
    assert {output.decode_seconds for output in whole + some} <= {0.0, 0.5, 1.0}, "at most two more tokens"
    assert tiny.rank(samples, Registry().budget("grid:k=2"))[0].prefill_seconds is None


def test_few_tokens_are_a_shorter_prefill_and_a_smaller_cache(embedded):
    task = load_task(find_task_files()["relational"])
    samples = [task.sample(i, embedded.image_size) for i in range(4)]
    lengths = []
    for text in ("grid:f=1", "grid:k=8"):
        embedded.generate(samples, 1, Registry().budget(text))
        lengths.append(embedded.cache.get("prefix")[1].cache.get_seq_length())
    assert lengths[0] - lengths[1] == 64 - 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_budgets_take_tokens_of_any_precision(dtype):
    from vtbench.types import VisualTokens

    tokens = torch.eye(6, dtype=dtype)[None].repeat(2, 1, 1)
    for text in SOME:
        for weights in Registry().budget(text).weights(VisualTokens("connector", tokens), ["a", "b"]):
            assert weights.shape[1] == 6


def test_a_run_under_a_budget_says_what_it_took(embedded, tmp_path: Path):
    fields = {"model": "llava", "tasks": ["relational"], "limit": 16, "metrics": ["accuracy"], "report": False}
    result = vtbench.run(**fields, budget="merge:t=0.9", device="cpu", output=str(tmp_path))
    scores = result.scores["relational"]
    assert 4 < scores["tokens_kept"].value < 32
    assert scores["prefill_ms"].value > 0
    assert scores["decode_ms"].value > 0
    line = json.loads((result.path / "samples.jsonl").read_text().splitlines()[0])
    assert line["scores"]["budget_cost"].keys() == {"tokens", "prefill", "decode"}
