"""What the harness costs: `vtbench run` beside a bare loop over `model.generate`, same samples and batch size, in turn.

    python benchmarks/overhead.py [--items 512] [--batch-size 32] [--rounds 3] [--no-report]

The bare loop draws the images, calls the processor and plain `model.generate`, and keeps the text: nothing is scored
or written. `vtbench run` does the same questions with its accuracy metric, its records, its results and, unless told
otherwise, its report. Loading the model is left out of both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

import vtbench
from vtbench.console.progress import Listener
from vtbench.engine.allocator import keep_freed_memory
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_llava import WEIGHTS

TASK = "relational"


class Clock(Listener):
    """Times a run from its first sample to its end: loading is not counted."""

    began = ended = 0.0

    def begin(self, *_: object) -> None:
        """Start the clock."""
        self.began = time.perf_counter()

    def end(self) -> None:
        """Stop the clock."""
        self.ended = time.perf_counter()


def bare(model: torch.nn.Module, processor: object, items: int, batch_size: int) -> float:
    """Return the seconds of the bare loop."""
    task = load_task(find_task_files()[TASK])
    texts: list[str] = []
    began = time.perf_counter()
    for start in range(0, items, batch_size):
        samples = [task.sample(i, 112) for i in range(start, min(start + batch_size, items))]
        prompts = [
            processor.apply_chat_template(
                [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": sample.prompt}]}],
                add_generation_prompt=True,
            )
            for sample in samples
        ]
        images = [[sample.images[0]] for sample in samples]
        inputs = processor(text=prompts, images=images, padding=True, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            out = model.generate(**inputs, max_new_tokens=task.max_new_tokens, do_sample=False)
        texts += processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert len(texts) == items
    return time.perf_counter() - began


def harness(items: int, batch_size: int, report: bool) -> float:
    """Return the seconds of `vtbench run`, from its first sample on."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as output:
        vtbench.run(
            model="llava",
            tasks=[TASK],
            limit=items,
            batch_size=batch_size,
            metrics=["accuracy"],
            report=report,
            output=str(Path(output)),
            listener=clock,
        )
    return clock.ended - clock.began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    keep_freed_memory()  # for both, so that the memory allocator is not what is compared
    model = AutoModelForImageTextToText.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(WEIGHTS)
    processor.tokenizer.padding_side = "left"
    bare(model, processor, options.batch_size, options.batch_size)
    ratios = []
    for number in range(options.rounds):
        alone, whole = (
            bare(model, processor, options.items, options.batch_size),
            harness(options.items, options.batch_size, options.report),
        )
        ratios.append(whole / alone)
        print(f"round {number + 1}: bare loop {alone:.2f} s, vtbench run {whole:.2f} s, ratio {ratios[-1]:.2f}")
    with_report = "with" if options.report else "without"
    print(
        f"median ratio {statistics.median(ratios):.2f} ({options.items} items, batch size {options.batch_size}, "
        f"{with_report} report)"
    )


if __name__ == "__main__":
    main()
