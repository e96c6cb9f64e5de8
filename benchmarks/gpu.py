"""What vtbench does on a GPU at the size people use, on random weights: no network, no checkpoint, under ten minutes.

    python benchmarks/gpu.py --output DIR [--parts llava,redundancy] [--small]

    llava, qwen2_vl         LLaVA-1.5 7B and Qwen2-VL 2B in bfloat16: whether greedy answers are those of plain
                            transformers; samples a second of generate and rank, and of plain transformers' generate;
                            prefill under token budgets
    redundancy              the Redundancy Score with its interval, 576 tokens x 4,096 dimensions x 2,000 images: time
                            and memory, beside the same on the CPU
    lora_llava, lora_qwen2_vl
                            a LoRA training step: tokens a second, memory

Each figure is printed as soon as it is known. A part runs in a process of its own under a time limit; one that fails
says why, the others go on, and the exit status is 1. DIR/gpu.json has all figures, with the card and the versions, and
DIR/PART.log what a part's process wrote to stderr.

--small runs the same code with tiny configurations on the CPU in under two minutes. --device cpu --layers 2 tries the
real widths with two layers, where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from gpu_parts.runner import Part, run, serve
from gpu_parts.workload import Workload, published, tiny

PARTS: Mapping[str, Part] = {
    "llava": Part("answers", ("llava",), 120),
    "qwen2_vl": Part("answers", ("qwen2_vl",), 100),
    "redundancy": Part("redundancy_score", (), 190),
    "lora_llava": Part("lora", ("llava",), 90),
    "lora_qwen2_vl": Part("lora", ("qwen2_vl",), 70),
}
"""Their time limits, in seconds, sum to less than ten minutes."""
PACKAGES = ("vtbench", "torch", "transformers", "peft", "numpy")


def main() -> int:
    if sys.argv[1:2] == ["--measure"]:
        return serve(*sys.argv[2:])
    options = arguments()
    load = workload(options)
    options.output.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"machine": machine(load.device), "workload": asdict(load), "parts": {}}
    print(" ".join(f"{key} {value};" for key, value in document["machine"].items()), flush=True)
    for name in options.parts:
        print(f"{name}:", flush=True)
        command = [sys.executable, __file__, "--measure"]
        result = run(command, PARTS[name], load, options.output / f"{name}.log", show, options.time_limit)
        print(f"  {'FAILED: ' + result.failed if result.failed else 'done'} ({result.seconds:.0f} s)", flush=True)
        document["parts"][name] = asdict(result)
        (options.output / "gpu.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return int(any(part["failed"] for part in document["parts"].values()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, separated by commas; all by default")
    parser.add_argument("--small", action="store_true", help="tiny configurations on the CPU")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--layers", type=int, help="most layers of tower and decoder")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="of each part, in place of its own")
    for name in ("samples", "batch_size", "rounds", "images", "train_batch_size"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="in place of the workload's own")
    options = parser.parse_args()
    options.parts = options.parts.split(",")
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    return options


def workload(options: argparse.Namespace) -> Workload:
    """Return what is measured where."""
    load = tiny() if options.small else published(options.device)
    given = {"layers", "samples", "batch_size", "rounds", "images", "train_batch_size"}
    return replace(load, **{name: value for name in given if (value := getattr(options, name)) is not None})


def machine(device: str) -> dict[str, Any]:
    """Return the card, the versions and the number of threads.

    Raises:
        SystemExit: there is no such device.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU here; --small runs the same code with tiny configurations on the CPU")
    found: dict[str, Any] = {"device": platform.processor() or platform.machine()}
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        found = {"device": card.name, "memory_gib": round(card.total_memory / 2**30, 1), "cuda": torch.version.cuda}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found | {"python": platform.python_version(), "threads": torch.get_num_threads()}


def show(name: str, value: Any) -> None:
    """Print a figure."""
    items = value.items() if isinstance(value, dict) else [("", value)]
    print(f"  {name:36}", *(f"{key} {_short(one)}".strip() for key, one in items), flush=True)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
