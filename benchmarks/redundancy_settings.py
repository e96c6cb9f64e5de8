"""How far does the Redundancy Score depend on its settings? The tables in docs/redundancy.md.

    python benchmarks/redundancy_settings.py truth     made-up tokens whose RS is known
    python benchmarks/redundancy_settings.py model     the embedded model, on training images of `relational`
    python benchmarks/redundancy_settings.py sets      the same model, on eight sets of 2,000 of them and on all at once

One setting at a time is changed from the protocol's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from task_tokens import TaskTokens, task_tokens

from vtbench_redundancy import Protocol, redundancy_score
from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.features.patch_layout import choose_layout

IMAGES = (300, 1000, 2000, 4000)


def changed(base: Protocol, values: dict[str, tuple]) -> Iterator[tuple[str, int, Protocol]]:
    """Name, images and settings of each row, the protocol's own first."""
    yield "as in the protocol", 2000, base
    for name, chosen in values.items():
        for value in chosen:
            if value != getattr(base, name):
                yield f"{name} = {value}", 2000, replace(base, **{name: value})
    for n in IMAGES:
        if n != 2000:
            yield f"n = {n}", n, base


def truth() -> None:
    """16 tokens of 512 dimensions, 8 of which say something, of 32 correlated pixels."""
    m, r, q, width = 16, 8, 32, 512
    model = GaussianModel.draw(seed=1, m=m, r=r, q=q, noise=0.5)
    z, x = model.sample(max(IMAGES), 2)
    generator = np.random.default_rng(3)
    embedding = np.linalg.qr(generator.standard_normal((width, r)))[0]
    tokens = (z @ embedding.T + 0.01 * generator.standard_normal((len(z), m, width))).astype(np.float32)
    patches = x.reshape(len(x), q // 4, 4)
    base = Protocol(m=m, r=r, r_x=q)
    settings = {
        "r": (4, 16), "r_x": (16,), "floor": (1e-3, 1e-1), "m": (8,), "projection": (64, 128, 512),
        "permutations": (0, 20), "crossed": (False,),
    }  # fmt: skip
    print("| setting | true RS | RS | 95 % | flags |\n|---|---|---|---|---|")
    for name, n, protocol in changed(base, settings):
        found = redundancy_score(tokens[:n], patches=patches[:n], protocol=protocol).rs
        chosen = choose_layout(m, None, protocol.m, protocol.subsets, protocol.seed).chosen_Sm
        rows = [np.concatenate([np.arange(i * r, (i + 1) * r) for i in choice]) for choice in chosen]
        parts = [replace(model, map_Mq=model.map_Mq[part], m=chosen.shape[1]) for part in rows]
        known = np.mean([part.rs(protocol.floor) for part in parts])
        print(_row(name, f"{known:.4f}", found), flush=True)


def embedded(images: int) -> TaskTokens:
    """The embedded LLaVA's 64 tokens of 160 dimensions, the images, and which of them share a scene."""
    from vtbench.registry import Registry
    from vtbench.task.catalog import find_task_files
    from vtbench.task.loading import load_task

    task = load_task(find_task_files()["relational"], split="train", items=images)
    return task_tokens(Registry().adapter("llava", {}), task, images)


def model() -> None:
    """One setting at a time, on the same images."""
    seen = embedded(max(IMAGES))
    settings = {
        "r": (2, 4, 16), "r_x": (64, 256), "floor": (1e-3, 1e-1), "m": (16, 32), "projection": (32, 64, 128),
        "permutations": (0, 20), "crossed": (False,), "seed": (1, 2),
    }  # fmt: skip
    print("| setting | RS | 95 % | R_pix | discarded | flags |\n|---|---|---|---|---|---|")
    for name, n, protocol in changed(Protocol(), settings):
        found = redundancy_score(seen.tokens[:n], seen.images[:n], clusters=seen.clusters[:n], protocol=protocol)
        print(_row(name, None, found.rs, found.r_pix, found.discarded), flush=True)


def sets(count: int = 8, size: int = 2000) -> None:
    """How far one set of images is from another, how far the interval says, and what many more images say."""
    seen = embedded(count * size)
    print("| estimate | images | RS, mean | SD over sets | mean SE | R_pix, mean | SD over sets | mean SE |")
    print("|---|---|---|---|---|---|---|---|")
    for name, crossed, known in (
        ("the protocol", True, True),
        ("without cross-validation", False, True),
        ("pairs taken for independent", True, False),
        ("both", False, False),
    ):
        parts = [slice(i * size, (i + 1) * size) for i in range(count)]
        whole = [slice(0, count * size)] if crossed and known else []
        rows = []
        for part in parts + whole:
            protocol, names = Protocol(crossed=crossed), seen.clusters[part] if known else None
            found = redundancy_score(seen.tokens[part], seen.images[part], clusters=names, protocol=protocol)
            rows.append([found.rs.value, found.rs.stderr, found.r_pix.value, found.r_pix.stderr])
        of_sets = np.array(rows[:count])
        mean, spread = of_sets.mean(axis=0), of_sets.std(axis=0, ddof=1)
        cells = [mean[0], spread[0], mean[1], mean[2], spread[2], mean[3]]
        print(f"| {name} | {size} | {' | '.join(f'{cell:.4f}' for cell in cells)} |", flush=True)
        for row in rows[count:]:
            print(f"| {name} | {count * size} | {row[0]:.4f} | | {row[1]:.4f} | {row[2]:.4f} | | {row[3]:.4f} |")


def _row(name: str, known: str | None, rs, *others) -> str:
    """A row of the table; Scores without a value show a dash."""
    interval = f"{rs.interval[0]:.3f} – {rs.interval[1]:.3f}" if rs.interval else "–"
    numbers = [interval, *("–" if s.value is None else f"{s.value:.3f}" for s in others)]
    value = "–" if rs.value is None else f"{rs.value:.4f}" if known else f"{rs.value:.3f}"
    return f"| {' | '.join([name, *([known] if known else []), value, *numbers, ' '.join(rs.flags)])} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["truth", "model", "sets"])
    {"truth": truth, "model": model, "sets": sets}[parser.parse_args().what]()
