"""Time of `hf`, which finds out itself where the image enters, against a family's own adapter, on the shipped models.

    python benchmarks/any_checkpoint.py llava,qwen2_vl

Both are asked about the same batches in turn: an answer, a ranking of the choices, the connector's tokens. Printed are
the ratios of their CPU times, the largest difference of a log-probability in nats, and the share of equal answers.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import click
import torch

from vtbench.registry import Registry
from vtbench.testing.example_items import ADAPTER_TASKS, example_samples
from vtbench_hf.probed_adapter import ProbedAdapter

BATCH, NEW_TOKENS = 8, 12


@click.command()
@click.argument("models", default="llava,qwen2_vl")
@click.option("--rounds", default=5, show_default=True, help="Times that each batch is asked.")
@click.option("--batches", default=4, show_default=True, help="Batches of 8 questions.")
def main(models: str, rounds: int, batches: int) -> None:
    """Compare `hf` with the own adapters of MODELS, by comma, which need no checkpoint."""
    torch.set_num_threads(1)
    for name in models.split(","):
        print(f"{name}: {compare(name, rounds, batches)}")


def compare(name: str, rounds: int, batches: int) -> str:
    """Return the line of one model."""
    own = Registry().adapter(name, {}, "cpu", "float32")
    probed = ProbedAdapter(Registry().adapter(name, {}, "cpu", "float32").loaded)
    samples = [s for s in example_samples(ADAPTER_TASKS, BATCH * batches, own.image_size) if s.choices]
    ratios, worst, same, asked = [], 0.0, 0, 0
    for turn in range(rounds):
        for start in range(0, BATCH * batches, BATCH):
            batch = samples[start : start + BATCH]
            order = [own, probed] if turn % 2 else [probed, own]
            found = {id(adapter): _ask(adapter, batch) for adapter in order}
            (mine, seconds), (other, more) = found[id(own)], found[id(probed)]
            ratios.append(more / seconds)
            pairs = list(zip(mine, other, strict=True))
            same += sum(a.text == b.text for a, b in pairs)
            asked += len(batch)
            worst = max(worst, *(abs(x - y) for a, b in pairs for x, y in zip(a.logprobs, b.logprobs, strict=True)))
    return (
        f"hf takes {statistics.median(ratios):.2f} times the CPU time of its own adapter; answers equal in"
        f" {same} of {asked}, log-probabilities within {worst:.1e} nats"
    )


def _ask(adapter: Any, batch: list[Any]) -> tuple[list[Any], float]:
    start = time.process_time()
    said, ranked = adapter.generate(batch, NEW_TOKENS), adapter.rank(batch)
    adapter.visual_tokens(batch, ["connector"])
    seconds = time.process_time() - start
    adapter.cache.clear()
    both = zip(said, ranked, strict=True)
    return [replace(answer, logprobs=choices.logprobs) for answer, choices in both], seconds


if __name__ == "__main__":
    main()
