"""Is the Redundancy Score's interval right? The table in docs/redundancy.md.

python benchmarks/redundancy_coverage.py [--seeds 100]
"""

from __future__ import annotations

import argparse

import numpy as np

from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.redundancy_score import score_coordinates

# images, tokens, coordinates of a token, of the image, noise of the tokens, cubed
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
        truth = model.rs(Protocol().floor, Protocol().token_floor)
        values, errors, inside = [], [], 0
        for seed in range(seeds):
            z, x = model.sample(n, 1000 + seed)
            z = z**3 if cubed else z
            rs = score_coordinates(z[:, None], None, x[:, :, None]).rs
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    coverage(parser.parse_args().seeds)
