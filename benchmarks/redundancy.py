"""What the Redundancy Score costs: time and memory, beside the encoder's own forward pass and a naive estimate.

    python benchmarks/redundancy.py [--images 2000] [--device cpu] [--shapes 64x128,576x1024,576x4096]

For each shape (tokens x dimensions) the five scores with intervals, nulls and halves are computed from half-precision
tokens that are made on the way, slice by slice; making them (the reading of the input) is not counted. Beside it stand

    (a) KSG mutual information of every token with every patch, in the same 8 + 8 coordinates and without any interval,
        one pair at a time, extrapolated from a few pairs;
    (b) the forward pass of a ViT-L/14 at 336 px over as many images, extrapolated from a few.

Each figure is measured in a process of its own, on the same device and threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from process_memory import process_peak_gib

SIDE = 64
"""Pixels a side of the images, which are noise: what is in them does not change the work."""


def measure_score(images: int, count: int, width: int, device: str) -> dict[str, Any]:
    from vtbench_redundancy import redundancy_score
    from vtbench_redundancy.inputs.rows import Rows

    generator = np.random.default_rng(0)
    cells = min(count, 64)
    patches = generator.standard_normal((images, cells, 8)).astype(np.float32)
    code = generator.standard_normal((8, width)).astype(np.float32)
    noise = generator.standard_normal((1, count, width)).astype(np.float32)
    place = np.arange(count) * cells // count
    reading = 0.0

    def read(start: int, stop: int) -> np.ndarray:
        """Every token is a noisy view of one patch; the noise is one block, turned from image to image."""
        nonlocal reading
        began = time.perf_counter()
        found = np.empty((stop - start, count, width), np.float16)
        for row, image in enumerate(range(start, stop)):
            found[row] = (patches[image] @ code)[place] + np.roll(noise[0], 7919 * image)
        reading += time.perf_counter() - began
        return found

    tokens = Rows((images, count, width), np.dtype(np.float16), read)
    some = generator.standard_normal((400, 4, 8)).astype(np.float32)
    redundancy_score(some, patches=some, device=device)  # what is loaded once
    before, reading, began = process_peak_gib(), 0.0, time.perf_counter()
    found = redundancy_score(tokens, patches=patches, device=device)
    seconds = time.perf_counter() - began - reading
    return {
        "seconds": seconds,
        "reading": reading,
        "peak_gib": process_peak_gib(),
        "device_peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device.startswith("cuda") else None,
        "before_gib": before,
        "rs": found.rs.value,
        "interval": found.rs.interval,
    }


def measure_ksg(images: int, pairs: int = 12) -> dict[str, float]:
    from vtbench_redundancy.estimators.ksg import ksg

    generator = np.random.default_rng(0)
    x = generator.standard_normal((pairs, images, 8))  # the coordinates that the suite has of a token, and of a patch
    z = x + generator.standard_normal(x.shape)
    began = time.perf_counter()
    for pair in range(pairs):
        ksg(z[pair], x[pair])
    return {"seconds_a_pair": (time.perf_counter() - began) / pairs}


def measure_encoder(device: str, images: int = 4) -> dict[str, float]:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14,
    )  # fmt: skip
    model = CLIPVisionModel(config).eval().to(device)
    pixels = torch.randn(images, 3, 336, 336, device=device)
    with torch.no_grad():
        model(pixels)
        _wait(device)
        began = time.perf_counter()
        model(pixels)
        _wait(device)
    return {"seconds_an_image": (time.perf_counter() - began) / images}


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def apart(*arguments: object) -> dict[str, Any]:
    """Measure in a process of its own: `score IMAGES TOKENS WIDTH DEVICE`, `ksg IMAGES` or `encoder DEVICE`.

    Raises:
        RuntimeError: it failed; the last line that it wrote.
    """
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(f"measuring {arguments[0]}: {said[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shapes", default="64x128,576x1024,576x4096")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        what, *rest = given.measure
        if what == "score":
            found = measure_score(int(rest[0]), int(rest[1]), int(rest[2]), rest[3])
        else:
            found = measure_ksg(int(rest[0])) if what == "ksg" else measure_encoder(rest[0])
        print(json.dumps(found))
        return
    encoder = apart("encoder", given.device)["seconds_an_image"] * given.images
    pair = apart("ksg", given.images)["seconds_a_pair"]
    print(f"{given.images} images, {torch.get_num_threads()} threads, {given.device}, torch {torch.__version__}")
    print(f"(a) KSG, one pair of 8 and 8 coordinates: {pair:.3f} s; (b) ViT-L/14 at 336 px: {encoder:,.0f} s\n")
    print("| tokens x dimensions | RS with interval | peak memory | (a) pairs, naive | times faster | share of (b) |")
    print("|---|---|---|---|---|---|")
    for shape in given.shapes.split(","):
        count, width = map(int, shape.split("x"))
        found = apart("score", given.images, count, width, given.device)
        naive = pair * count * count
        print(
            f"| {count} x {width} | {found['seconds']:.1f} s | {found['peak_gib']:.2f} GiB | {naive:,.0f} s "
            f"| {naive / found['seconds']:,.0f} | {100 * found['seconds'] / encoder:.2f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
