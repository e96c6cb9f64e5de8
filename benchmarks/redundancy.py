"""Is the Redundancy Score's interval right, and what does the score cost?

python benchmarks/redundancy.py coverage [--seeds 100]     the table in docs/redundancy.md
python benchmarks/redundancy.py cost                       seconds and memory for 2,000 images
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.score import score_coordinates
from vtbench_redundancy.truth import GaussianModel

# images, tokens, coordinates of a token, of the picture, noise of the tokens, cubed
CASES = (
    (400, 8, 2, 16, 0.0, False),
    (400, 8, 2, 16, 0.3, False),
    (400, 8, 2, 16, 1.0, False),
    (400, 8, 2, 16, 2.0, False),
    (600, 16, 8, 32, 0.3, False),
    (600, 16, 8, 32, 1.0, False),
    (2000, 8, 2, 16, 0.3, False),
    (2000, 8, 2, 16, 0.0, True),
    (2000, 8, 2, 16, 0.3, True),
    (2000, 8, 2, 16, 1.0, True),
)


def coverage(seeds: int) -> None:
    print("| images | m | r | r_x | token noise | marginals | true RS | mean RS | SD over seeds | mean SE | covered |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for n, m, r, q, noise, cubed in CASES:
        model = GaussianModel.draw(seed=1, m=m, r=r, q=q, noise=noise)
        truth = model.rs(Protocol().floor)
        values, errors, inside = [], [], 0
        for seed in range(seeds):
            z, x = model.sample(n, 1000 + seed)
            z = z**3 if cubed else z
            rs = score_coordinates(z[:, None], x[:, :, None], x).rs
            if rs.value is None or rs.stderr is None or rs.interval is None:
                continue
            values.append(rs.value)
            errors.append(rs.stderr)
            inside += rs.interval[0] <= truth <= rs.interval[1]
        print(
            f"| {n} | {m} | {r} | {q} | {noise} | {'cubed' if cubed else 'Gaussian'} | {truth:.4f} "
            f"| {np.mean(values):.4f} | {np.std(values, ddof=1):.4f} | {np.mean(errors):.4f} "
            f"| {inside}/{len(values)} |",
            flush=True,
        )


def cost() -> None:
    generator = np.random.default_rng(0)
    n, m, r, q = 2000, 64, 8, 128
    x = generator.standard_normal((n, m, r)).astype(np.float32)
    z = x + generator.standard_normal((n, m, r)).astype(np.float32)
    print("| tokens | subsets | seconds | peak memory |\n|---|---|---|---|")
    for subsets in (1, 8):
        began = time.perf_counter()
        score_coordinates(np.repeat(z[:, None], subsets, axis=1), x, x[:, :, : q // m].reshape(n, q))
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"| {m} | {subsets} | {seconds:.1f} | {peak:.2f} GiB |", flush=True)
    print(f"\n{torch.get_num_threads()} threads; {n} images, r = {r}, r_x = {q}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["coverage", "cost"])
    parser.add_argument("--seeds", type=int, default=100)
    given = parser.parse_args()
    if given.what == "coverage":
        coverage(given.seeds)
    else:
        cost()
