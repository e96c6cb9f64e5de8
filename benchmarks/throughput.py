"""Samples a second of vtbench, lm-eval and lmms-eval: the real commands on one checkpoint, the same items, in one run.

    make .venv-harnesses/stamp && .venv-harnesses/bin/python benchmarks/throughput.py [--items 200,1200] [--rounds 3]

Each round runs every command on few and on many items of `relational`, in an order that turns with the rounds; what
lies between the two is the cost of further samples, without starting up and loading. Every command has its own default
batch size (vtbench: found while it runs; the harnesses: 1), and lm-eval stands there a second time at 64, where it is
quickest; at 1 it is given a fifth of the items. `bare` is transformers' own `generate` on the same prompts in batches
of 64: what the model alone takes there. All compute in float32 with as many threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vtbench_llava import WEIGHTS

FEWER = {"lm-eval": 5}
"""Commands that are given a part of the items, for time's sake."""
BIN = Path(sys.executable).parent
OFFLINE = {**os.environ, "HF_HUB_OFFLINE": "1"}
MODEL = f"pretrained={WEIGHTS},dtype=float32"
BARE = """
import sys, torch
from vtbench.task.catalog import find_task_files
from vtbench.registry import Registry
from vtbench.task.loading import load_task
adapter = Registry().adapter("hf", {"pretrained": sys.argv[1]}, device="cpu", dtype="float32")
task = load_task(find_task_files()["relational"])
for first in range(0, int(sys.argv[2]), 64):
    samples = [task.sample(i, 112) for i in range(first, min(first + 64, int(sys.argv[2])))]
    with torch.no_grad():
        adapter.model.generate(**adapter.model_inputs(samples), max_new_tokens=task.max_new_tokens, do_sample=False)
"""


def commands(trees: Path, output: Path) -> dict[str, list[str]]:
    """Return each command without its number of items, which comes last."""
    lm_eval = [str(BIN / "lm_eval"), "--model", "hf-multimodal", "--model_args", MODEL, "--device", "cpu"]
    lm_eval += ["--apply_chat_template", "--include_path", str(trees / "lm-eval"), "--tasks", "vtb_relational"]
    lmms_eval = [str(BIN / "lmms-eval"), "--model", "llava_hf", "--model_args", f"{MODEL},device=cpu,device_map=cpu"]
    lmms_eval += ["--include_path", str(trees / "lmms-eval"), "--tasks", "vtb_relational"]
    vtbench = [str(BIN / "vtbench"), "run", "--model", "llava", "--tasks", "relational", "--output", str(output)]
    vtbench += ["--metrics", "accuracy,pair_accuracy", "--no-report"]
    return {
        "vtbench": [*vtbench, "--limit"],
        "lm-eval": [*lm_eval, "--batch_size", "1", "--limit"],
        "lm-eval, 64": [*lm_eval, "--batch_size", "64", "--limit"],
        "lmms-eval": [*lmms_eval, "--batch_size", "1", "--limit"],
        "bare": [sys.executable, "-c", BARE, str(WEIGHTS)],
    }


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command and return its wall and its CPU seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=OFFLINE, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", default="200,1200")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    few, many = map(int, options.items.split(","))
    with tempfile.TemporaryDirectory() as scratch:
        trees = Path(scratch)
        for kind in ("lm-eval", "lmms-eval"):
            timed([str(BIN / "vtbench"), "export", "--tasks", "relational", "--format", kind,
                   "--output", str(trees / kind), "--limit", str(many)])  # fmt: skip
        run = commands(trees, trees / "runs")
        took: dict[str, list[tuple[float, ...]]] = {name: [] for name in run}
        for number in range(options.rounds):
            turn = number % len(run)
            for name in [*list(run)[turn:], *list(run)[:turn]]:
                first, last = (count // FEWER.get(name, 1) for count in (few, many))
                least, most = (timed([*run[name], str(count)]) for count in (first, last))
                spent = [1000 * (b - a) / (last - first) for a, b in zip(least, most, strict=True)]
                took[name].append((*spent, most[0] / last))
    print(f"relational, {few} to {many} items, {options.rounds} rounds, medians")
    print(f"{'':14} {'ms wall':>9} {'ms CPU':>9} {'samples/s':>10} {'over vtbench':>13} {'whole, ms each':>15}")
    ours = statistics.median(row[0] for row in took["vtbench"])
    for name, rows in took.items():
        wall, cpu, whole = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{name:14} {wall:9.1f} {cpu:9.1f} {1000 / wall:10.1f} {wall / ours:13.2f} {1000 * whole:15.1f}")


if __name__ == "__main__":
    main()
