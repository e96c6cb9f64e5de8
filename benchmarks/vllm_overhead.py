"""What the harness costs over bare vLLM: `vtbench run` beside one `LLM.generate` of the same items, in turn.

    .venv-vllm/bin/python benchmarks/vllm_overhead.py [--items 512] [--batch-size 256] [--rounds 3] [--width 1024]

The model is the embedded one, of 3 million parameters; --width makes one of that width and 12 layers, with random
weights, as the harness's share depends on how much there is to compute.

Both draw the pictures and ask the same engine for the same greedy answers. The bare way makes a prompt of text and a
picture each, hands all of them to `LLM.generate` and keeps the text; `vtbench run` does it with its accuracy metric,
its records and its results. Starting the engine is left out of both; vLLM's caches are emptied before each.
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
from vtbench_hf.prompting import prompt_text
from vtbench_llava import WEIGHTS
from vtbench_llava.build import build_llava
from vtbench_llava.layout import save_published

TASK = "relational"


class Clock(Listener):
    """Times a run from its first sample to its end."""

    began = ended = 0.0

    def begin(self, *_: object) -> None:
        """Start the clock."""
        self.began = time.perf_counter()

    def end(self) -> None:
        """Stop the clock."""
        self.ended = time.perf_counter()


class Kept:
    """Offers an adapter that is there, and outlives its runs."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        """Offer it as `kept`."""
        kept = self.adapter

        class View:
            def __getattr__(self, name: str) -> Any:
                return getattr(kept, name)

            def close(self) -> None:
                pass

        return {"kept": View}


def bare(adapter: Any, items: int) -> tuple[float, list[str]]:
    """Return the seconds of one `LLM.generate`, and its answers."""
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
    """Return the seconds of `vtbench run`, and its answers."""
    registry, clock = Registry({"scoring": plugin, "kept": Kept(adapter)}), Clock()
    with tempfile.TemporaryDirectory() as output:
        result = vtbench.run(
            model="kept",
            tasks=[TASK],
            limit=items,
            metrics=["accuracy"],
            batch_size=batch_size,
            report=False,
            output=output,
            registry=registry,
            listener=clock,
        )
        lines = (Path(result.path) / "samples.jsonl").read_text().splitlines()
    return clock.ended - clock.began, [json.loads(line)["output"] for line in lines]


def fresh(adapter: Any) -> None:
    """Empty the caches that would spare the second asker the work of the first."""
    engine = adapter._engine._llm.llm_engine
    engine.reset_prefix_cache()
    engine.reset_mm_cache()
    engine.reset_encoder_cache()


def cpu() -> float:
    """Return the CPU seconds of this process and the engine's so far: they do not mind what else the machine does."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def timed(ask: Any, *arguments: Any) -> tuple[float, float, list[str]]:
    """Return wall seconds, CPU seconds and answers."""
    before = cpu()
    seconds, texts = ask(*arguments)
    return seconds, cpu() - before, texts


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
        checkpoint = {"pretrained": wide(given.width, Path(scratch) / "model")} if given.width else {}
        measure(Registry().adapter("vllm", {**engine, **checkpoint}), given.items, size, given.rounds)


def wide(width: int, directory: Path) -> str:
    """Write a LLaVA of that width with random weights and the embedded one's processor; return where it lies."""
    processor = LlavaProcessor.from_pretrained(WEIGHTS)
    sizes = {"hidden": width, "layers": 12, "heads": width // 64, "kv_heads": width // 64, "intermediate": 4 * width}
    model = build_llava(**sizes, vocab_size=len(processor.tokenizer))
    print(f"{model.num_parameters() / 1e6:.0f} million parameters")
    save_published(model, processor, directory, torch.float32)
    return str(directory)


def measure(adapter: Any, items: int, batch_size: int | str, rounds: int) -> None:
    """Ask in turn, print each round, and close the adapter."""
    try:
        bare(adapter, 16)
        pairs = []
        for _ in range(rounds):
            fresh(adapter)
            plain, plain_cpu, texts = timed(bare, adapter, items)
            fresh(adapter)
            ours, ours_cpu, same = timed(harness, adapter, items, batch_size)
            pairs.append((ours / plain - 1, ours_cpu / plain_cpu - 1))
            print(
                f"bare {plain:.2f} s (CPU {plain_cpu:.2f}), vtbench {ours:.2f} s (CPU {ours_cpu:.2f}): "
                f"wall {pairs[-1][0]:+.1%}, CPU {pairs[-1][1]:+.1%}; answers alike: {texts == same}",
                flush=True,
            )
        for what, found in zip(("wall", "CPU"), zip(*pairs, strict=True), strict=True):
            print(f"median {what} {statistics.median(found):+.1%}")
    finally:
        adapter.close()


if __name__ == "__main__":
    main()
