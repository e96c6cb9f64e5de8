"""RS of images with unequal token counts, pooled to a common grid, against what is known and against one size.

    python benchmarks/unequal_counts.py [--images 1000]

Images are 8 x 8 cells of independent colours; a token is a random linear code of the mean colour within its box, with
noise of standard deviation 0.01. Each token of `copies` is the code of the first cell.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from vtbench.metric import Batch
from vtbench.types import Observation, Record, Sample, VisualTokens
from vtbench_redundancy.features.common_grid import Grid
from vtbench_redundancy.metrics.token_metrics import RedundancyMetric
from vtbench_redundancy.protocol import Protocol

SETS = {
    "one size": [Grid(8, 8)],
    "multiples": [Grid(8, 8), Grid(16, 16), Grid(24, 8)],
    "odd, 1 to 2 tokens a cell and side": [Grid(8, 8), Grid(11, 9), Grid(13, 16)],
    "odd, 2 to 3": [Grid(16, 16), Grid(21, 17), Grid(24, 19)],
    "odd, 4 to 6": [Grid(32, 32), Grid(43, 37), Grid(35, 47)],
    "odd and coarse": [Grid(5, 5), Grid(7, 6), Grid(9, 8)],
    "overview of 8 x 8, and tiles": [Grid(16, 16), Grid(16, 8), Grid(8, 16)],
}
CELLS, WIDTH, NOISE, BATCH = Grid(8, 8), 12, 0.01, 50
BASIS = Protocol().basis_images
"""Images that the basis is fitted on, which are not scored."""


def batches(name: str, images: int, copies: bool, first: int = 0) -> Iterator[Batch]:
    """Yield the images of a set from number `first` on, in batches of one size."""
    grids, code = SETS[name], np.random.default_rng(0).standard_normal((3, WIDTH))
    for start in range(first, first + images, BATCH * len(grids)):
        indices = range(start, min(first + images, start + BATCH * len(grids)))
        for kind, grid in enumerate(grids):
            mine = [i for i in indices if i % len(grids) == kind]
            boxes = np.concatenate([CELLS.boxes(), grid.boxes()]) if "overview" in name else grid.boxes()
            shown = _shares(boxes)
            samples, tokens = [], []
            for i in mine:
                generator = np.random.default_rng(i)
                colours = generator.integers(0, 256, (CELLS.cells, 3), dtype=np.uint8)
                image = Image.fromarray(colours.reshape(8, 8, 3)).resize((64, 64), Image.Resampling.NEAREST)
                samples.append(Sample(str(i), i, (image,), "", ""))
                seen = np.tile(colours[:1], (len(boxes), 1)) if copies else shown @ colours
                noise = 0 if copies else NOISE * generator.standard_normal((len(boxes), WIDTH))
                tokens.append((seen / 255) @ code + noise)
            if mine:
                visual = VisualTokens("connector", np.stack(tokens).astype(np.float32), boxes)
                yield Batch(samples, (), {"connector": visual})


def _shares(boxes: np.ndarray) -> np.ndarray:
    """Return how much of each token's box (N, 64) lies in each cell of the image."""
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left, top, right, bottom = boxes.T[:, :, None]
    x0, y0, x1, y1 = CELLS.boxes().T
    across = (np.minimum(right, x1) - np.maximum(left, x0)).clip(0)
    down = (np.minimum(bottom, y1) - np.maximum(top, y0)).clip(0)
    return across * down / area[:, None]


def measure(basis: Sequence[Batch], parts: Sequence[Batch]) -> tuple[float, float, float, list[int] | None, int]:
    """Return RS, its interval, the grid, and the number of tokens that were measured together."""
    metric = RedundancyMetric()
    for again in (True, False):
        for batch in basis:
            metric.partial_fit(batch)
        if not (again and metric.fit_again()):
            break
    metric.load_state(dict(metric.state()))
    seen: dict[int, Observation] = {}
    for batch in parts:
        seen |= {s.index: o for s, o in zip(batch.samples, metric.observe(batch), strict=True)}
    records = [Record("", str(i), i, "", "") for i in sorted(seen)]
    rs = metric.compute(records, [seen[i] for i in sorted(seen)])["rs"]
    assert rs.value is not None
    assert rs.interval is not None
    return rs.value, *rs.interval, rs.detail.get("grid"), rs.detail["m"]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    images = parser.parse_args().images
    torch.set_num_threads(1)
    print("| images | grid | m | RS, independent patches | interval | RS, copies |")
    print("|---|---|---|---|---|---|")
    for name in SETS:
        found = []
        for copies in (False, True):
            basis = list(batches(name, BASIS, copies, first=images))
            found.append(measure(basis, list(batches(name, images, copies))))
        (value, low, high, grid, m), (same, *_) = found
        cells = "as they are" if grid is None else f"{grid[0]} x {grid[1]}"
        print(f"| {name} | {cells} | {m} | {value:.3f} | {low:.3f} to {high:.3f} | {same:.3f} |", flush=True)


if __name__ == "__main__":
    main()
