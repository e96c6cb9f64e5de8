"""Overhead of the harness over bare vLLM: `vtbench run` and one `LLM.generate` of the same items, alternating.

    .venv-vllm/bin/python benchmarks/vllm_overhead.py [--items 512] [--batch-size 256] [--rounds 3] [--width 1024]

The model is the embedded one with 3 million parameters. --width creates a model of that width with 12 layers and random
weights, because the relative overhead depends on the cost of the model.

Both render the images and use the same engine for the same greedy answers. The bare variant makes a prompt of text and
one image for each item, passes all of them to `LLM.generate` and keeps the texts; `vtbench run` also computes its
accuracy metric and writes its records and results. Engine start-up is excluded from both, and vLLM's caches are emptied
before each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import LlavaProcessor

import vtbench
from vtbench.console.progress import Listener
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.scoring import plugin
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_hf.checkpoint.published import save_published
from vtbench_hf.prompts import prompt_text
from vtbench_llava import WEIGHTS
from vtbench_training.small_models.llava import build_llava
from vtbench_training.small_models.sizes import Sizes

TASK = "relational"


class Stopwatch(Listener):
    """Measures a run from its first sample to its end."""

    began = ended = 0.0

    def begin(self, *_: object) -> None:
        """Record the start."""
        self.began = time.perf_counter()

    def end(self) -> None:
        """Record the end."""
        self.ended = time.perf_counter()


class ExistingAdapter:
    """A plugin that offers an existing adapter, which stays open after a run."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        """Offer it as `existing`."""
        adapter = self.adapter

        class View:
            def __getattr__(self, name: str) -> Any:
                return getattr(adapter, name)

            def close(self) -> None:
                pass

        return {"existing": View}


def bare(adapter: Any, items: int) -> tuple[float, list[str]]:
    """Return the wall seconds of one `LLM.generate`, and its answers."""
    from vllm import SamplingParams

    llm, processor = adapter._engine._llm, adapter._checkpoint.processor
    task = load_task(find_task_files()[TASK])
    began = time.perf_counter()
    samples = [task.sample(i, adapter.image_size) for i in range(items)]
    prompts = [
        {
            "prompt": prompt_text(processor, sample),
            "multi_modal_data": {"image": sample.images[0]},
        }
        for sample in samples
    ]
    params = SamplingParams(temperature=0, max_tokens=task.max_new_tokens)
    outputs = llm.generate(prompts, params, use_tqdm=False, tokenization_kwargs={"add_special_tokens": False})
    texts = [output.outputs[0].text.strip() for output in outputs]
    return time.perf_counter() - began, texts


def harness(adapter: Any, items: int, batch_size: int | str) -> tuple[float, list[str]]:
    """Return the wall seconds of `vtbench run`, and its answers."""
    registry, stopwatch = Registry({"scoring": plugin, "existing": ExistingAdapter(adapter)}), Stopwatch()
    with tempfile.TemporaryDirectory() as output:
        result = vtbench.run(
            model="existing",
            tasks=[TASK],
            limit=items,
            metrics=["accuracy"],
            batch_size=batch_size,
            report=False,
            output=output,
            registry=registry,
            listener=stopwatch,
        )
        lines = (Path(result.path) / "samples.jsonl").read_text().splitlines()
    return stopwatch.ended - stopwatch.began, [json.loads(line)["output"] for line in lines]


def clear_caches(adapter: Any) -> None:
    """Empty vLLM's caches, so that the second variant repeats all work of the first."""
    engine = adapter._engine._llm.llm_engine
    engine.reset_prefix_cache()
    engine.reset_mm_cache()
    engine.reset_encoder_cache()


def cpu_seconds() -> float:
    """Return the CPU seconds so far of this process and its children, the engine's included."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def timed(variant: Any, *arguments: Any) -> tuple[float, float, list[str]]:
    """Return wall seconds, CPU seconds and answers."""
    before = cpu_seconds()
    seconds, texts = variant(*arguments)
    return seconds, cpu_seconds() - before, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=512)
    parser.add_argument("--batch-size", default="256")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int)
    given = parser.parse_args()
    size = given.batch_size if given.batch_size == "auto" else int(given.batch_size)
    engine = {"enforce_eager": True, "max_model_len": 512, "kv_cache_memory_bytes": 2**29, "visual_tokens": False}
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = {"pretrained": save_random_llava(given.width, Path(scratch) / "model")} if given.width else {}
        measure(Registry().adapter("vllm", {**engine, **checkpoint}), given.items, size, given.rounds)


def save_random_llava(width: int, directory: Path) -> str:
    """Write a LLaVA of that width with random weights and the embedded model's processor; return its directory."""
    processor = LlavaProcessor.from_pretrained(WEIGHTS)
    sizes = Sizes(hidden=width, layers=12, heads=width // 64, kv_heads=width // 64, intermediate=4 * width)
    model = build_llava(sizes, vocab_size=len(processor.tokenizer))
    print(f"{model.num_parameters() / 1e6:.0f} million parameters")
    save_published(model, processor, directory, torch.float32)
    return str(directory)


def measure(adapter: Any, items: int, batch_size: int | str, rounds: int) -> None:
    """Run both variants alternately, print each round, and close the adapter."""
    try:
        bare(adapter, 16)
        pairs = []
        for _ in range(rounds):
            clear_caches(adapter)
            plain, plain_cpu, texts = timed(bare, adapter, items)
            clear_caches(adapter)
            ours, ours_cpu, our_texts = timed(harness, adapter, items, batch_size)
            pairs.append((ours / plain - 1, ours_cpu / plain_cpu - 1))
            print(
                f"bare {plain:.2f} s (CPU {plain_cpu:.2f}), vtbench {ours:.2f} s (CPU {ours_cpu:.2f}): "
                f"wall {pairs[-1][0]:+.1%}, CPU {pairs[-1][1]:+.1%}; same answers: {texts == our_texts}",
                flush=True,
            )
        for what, found in zip(("wall", "CPU"), zip(*pairs, strict=True), strict=True):
            print(f"median {what} {statistics.median(found):+.1%}")
    finally:
        adapter.close()


if __name__ == "__main__":
    main()
