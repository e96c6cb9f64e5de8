"""Answers and rankings of a model: samples a second, and whether greedy answers are those of plain transformers.

Plain transformers is what its documentation shows: chat template, processor, `model.generate`, in the same batches. In
bfloat16 two tokens may have the same logit, and then rounding decides; so where an answer differs, the gap says by how
many nats plain transformers preferred its own token at the first difference. A gap of some hundredths is rounding.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch

from budgets import WHOLE, budget_times, ratios
from gpu_parts.meter import Meter
from gpu_parts.models import build
from gpu_parts.workload import BUDGETS, Figures, Workload
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample
from vtbench_hf.generation import stop_ids, until_stop
from vtbench_hf.merged_adapter import MergedAdapter

TASK = "relational"
Batches = list[list[Sample]]


def measure(name: str, load: Workload) -> Figures:
    """Yield the figures of a model's answers."""
    with Meter(load.device) as meter:
        adapter = build(name, load)
    yield "parameters", adapter.model.num_parameters()
    yield "build_seconds", meter.seconds
    yield "weights_gib", sum(part.nbytes for part in adapter.model.parameters()) / 2**30
    task = load_task(find_task_files()[TASK])
    samples = [task.sample(i, adapter.image_size) for i in range(load.samples)]
    batches = [samples[i : i + load.batch_size] for i in range(0, len(samples), load.batch_size)]
    adapter.generate(batches[0], load.new_tokens)  # what is loaded and chosen once
    plain_answers(adapter, batches[0], load.new_tokens)
    yield from _agreement(adapter, batches, load)
    yield from _rates(adapter, batches, load)
    yield from _prefill(adapter, load)


def _agreement(adapter: MergedAdapter, batches: Batches, load: Workload) -> Figures:
    equal, gaps, said = 0, [0.0], set()
    with Meter(load.device) as meter:
        plain = [plain_answers(adapter, batch, load.new_tokens) for batch in batches]
    for batch, (theirs, logits_TBV) in zip(batches, plain, strict=True):
        for row, (own, other) in enumerate(zip(own_answers(adapter, batch, load.new_tokens), theirs, strict=True)):
            equal += own == other
            said.add(tuple(other))
            gaps.append(first_gap(logits_TBV[:, row], own, other, stop_ids(adapter.model)))
    yield "answers", sum(map(len, batches))
    yield "distinct_answers", len(said)
    yield "answers_as_plain_transformers", equal
    yield "largest_gap_nats", max(gaps)
    yield "plain_generate_samples_per_second", load.samples / meter.seconds


def _rates(adapter: MergedAdapter, batches: Batches, load: Workload) -> Figures:
    with Meter(load.device) as meter:
        for batch in batches:
            adapter.encode(batch)
    yield "processor_samples_per_second", load.samples / meter.seconds
    for what in ("generate", "rank"):
        adapter.forget()
        with Meter(load.device) as meter:
            for batch in batches:
                adapter.generate(batch, load.new_tokens) if what == "generate" else adapter.rank(batch)
                adapter.forget()  # so that each batch pays for its own prefill
        yield f"{what}_samples_per_second", load.samples / meter.seconds
        yield f"{what}_peak_gib", meter.peak_gib


def _prefill(adapter: MergedAdapter, load: Workload) -> Figures:
    budgets = {WHOLE: None} | {text: Registry().budget(text) for text in BUDGETS}
    took = budget_times(adapter, budgets, load.batch_size, new_tokens=2, rounds=load.rounds)
    for name, rounds in took.items():
        yield (
            f"prefill, {name}",
            {
                "visual_tokens": statistics.fmean(tokens for tokens, _, _ in rounds),
                "seconds_per_sample": statistics.median(seconds for _, seconds, _ in rounds),
                "ratio_to_whole": statistics.median(ratios(took, name, 1)),
            },
        )


def plain_answers(
    adapter: MergedAdapter, samples: Sequence[Sample], count: int
) -> tuple[list[list[int]], torch.Tensor]:
    """Return the greedy new tokens of plain transformers, and the logits that they were chosen by, (T, B, V)."""
    processor, model = adapter.processor, adapter.model
    turns = [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": sample.prompt}]}]
        for sample in samples
    ]
    inputs = processor(
        text=[processor.apply_chat_template(turn, add_generation_prompt=True) for turn in turns],
        images=[list(sample.images) for sample in samples],
        padding=True,
        return_tensors="pt",
        add_special_tokens=False,
    ).to(model.device, model.dtype)
    with torch.no_grad():
        found: Any = model.generate(
            **inputs, max_new_tokens=count, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    new = found.sequences[:, inputs["input_ids"].shape[1] :].tolist()
    return [until_stop(row, stop_ids(model)) for row in new], torch.stack(found.logits).float()


def own_answers(adapter: MergedAdapter, samples: Sequence[Sample], count: int) -> list[list[int]]:
    """Return the adapter's greedy new tokens."""
    with adapter.batch(samples):
        return adapter.generate_tokens(adapter.batch_inputs(samples), count)


def first_gap(logits_TV: torch.Tensor, own: Sequence[int], other: Sequence[int], stop: Sequence[int]) -> float:
    """Return by how many nats the other's token at the first difference is the more likely one; 0 if all are equal.

    Args:
        logits_TV: those by which the other's tokens were chosen.
        own: one answer's tokens.
        other: the other's.
        stop: ids of tokens that end an answer, which the answers do not have.
    """
    end = stop[0] if stop else 0
    mine, theirs = [*own, end], [*other, end]
    place = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
    if place is None or place >= len(logits_TV):
        return 0.0
    return float(logits_TV[place, theirs[place]] - logits_TV[place, mine[place]])
