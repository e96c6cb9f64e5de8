"""How far does the Redundancy Score depend on its settings? The tables in docs/redundancy.md.

    python benchmarks/redundancy_settings.py truth               made-up tokens whose RS is known
    python benchmarks/redundancy_settings.py model [MODEL ...]   the shipped models, on the probe set
    python benchmarks/redundancy_settings.py sets                the embedded one, on eight sets and on all at once

One setting at a time is changed from the protocol's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from task_tokens import TaskTokens, score_with_basis, task_tokens

from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Task
from vtbench_redundancy import Protocol, redundancy_score
from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.features.patch_layout import choose_layout
from vtbench_redundancy.metrics.basis_task import BASIS_SEED
from vtbench_redundancy.protocol import PROTOCOLS
from vtbench_redundancy.scores.sample_budget import images_needed

IMAGES = (300, 1000, 2000, 4000)


def changed(base: Protocol, values: Mapping[str, Sequence]) -> Iterator[tuple[str, int, Protocol]]:
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
        "permutations": (0, 20), "correction": ("none",), "basis": ("pca",),
    }  # fmt: skip
    print("| setting | true RS | RS | 95 % | flags |\n|---|---|---|---|---|")
    for name, n, protocol in changed(base, settings):
        found = redundancy_score(tokens[:n], patches=patches[:n], protocol=protocol).rs
        chosen = choose_layout(m, None, protocol.m, protocol.subsets, protocol.seed).chosen_Sm
        rows = [np.concatenate([np.arange(i * r, (i + 1) * r) for i in choice]) for choice in chosen]
        parts = [replace(model, map_Mq=model.map_Mq[part], m=chosen.shape[1]) for part in rows]
        known = np.mean([part.rs(protocol.floor, protocol.token_floor) for part in parts])
        print(_row(name, f"{known:.4f}", found), flush=True)


def task(name: str, split: str | None, items: int, seed: int | None = None) -> Task:
    return load_task(find_task_files()[name], split=split, items=items, seed=seed)


def probe_tokens(name: str, images: int) -> tuple[TaskTokens, TaskTokens]:
    """A shipped model's tokens of the probe set, and of the images that the basis is fitted on."""
    adapter = Registry().adapter(name, {})
    basis = task_tokens(adapter, task("probe", "train", Protocol().basis_images, BASIS_SEED), Protocol().basis_images)
    seen = task_tokens(adapter, task("probe", None, images), images)
    adapter.close()
    return seen, basis


def model(names: list[str]) -> None:
    """One setting at a time, on the same images of the probe set."""
    print("| model | setting | RS | 95 % | N_eff of 16 | discarded | flags |\n|---|---|---|---|---|---|---|")
    for of in names:
        seen, basis = probe_tokens(of, 2000)
        count = seen.tokens.shape[1]
        together = min(count, Protocol().m)
        own = Protocol().coordinates(together)
        enough = [r for r in (2, 4, 8, 16) if images_needed(together * r + Protocol().r_x, Protocol()) <= 2000]
        settings = {
            "r": [r for r in enough if r != own], "m": [m for m in (16, 32) if m < together],
            "floor": (1e-3, 1e-1), "basis": ("pca",),
        }  # fmt: skip
        rows = [*changed(Protocol(), settings), ("rs-v1", 2000, PROTOCOLS["rs-v1"])]
        for name, n, protocol in rows:
            if n <= 2000:
                found = score_with_basis(seen, basis, protocol, n)
                if protocol == Protocol() and n == 2000:
                    name += f" (m = {found.rs.detail['m']}, r = {own})"
                print(f"| {of} {_row(name, None, found.rs, found.n_eff_16, found.discarded)}", flush=True)


def sets(count: int = 8, size: int = 2000, few: int = 300) -> None:
    """How far one set of images is from another, how far the interval says, and what many more images say.

    Training images of `relational`, the embedded model.
    """
    adapter = Registry().adapter("llava", {})
    seen = task_tokens(adapter, task("relational", "train", count * size), count * size)
    basis = task_tokens(adapter, task("probe", "train", Protocol().basis_images, BASIS_SEED), Protocol().basis_images)

    def part(start: int, n: int) -> TaskTokens:
        rows = slice(start, start + n)
        return replace(seen, tokens=seen.tokens[rows], images=seen.images[rows], clusters=seen.clusters[rows])

    print("| protocol | images | sets | RS, mean | SD | mean SE | bias | covering | unconverged |")
    print("|---|---|---|---|---|---|---|---|---|")
    for protocol in (Protocol(), PROTOCOLS["rs-v1"]):
        whole = score_with_basis(seen, basis, protocol).rs
        print(f"| {protocol.name} | {count * size} | 1 | {whole.value:.4f} | | {whole.stderr:.4f} | | | |", flush=True)
        for n in (few, size // 2, size):
            found = [score_with_basis(part(i * size, n), basis, protocol).rs for i in range(count)]
            values = np.array([rs.value for rs in found])
            inside = sum(rs.interval[0] <= whole.value <= rs.interval[1] for rs in found)
            errors, bias = np.mean([rs.stderr for rs in found]), values.mean() - whole.value
            print(
                f"| {protocol.name} | {n} | {count} | {values.mean():.4f} | {values.std(ddof=1):.4f} "
                f"| {errors:.4f} | {bias:+.4f} | {inside} of {count} "
                f"| {sum('unconverged' in rs.flags for rs in found)} of {count} |",
                flush=True,
            )


def _row(name: str, known: str | None, rs, *others) -> str:
    """A row of the table; Scores without a value show a dash."""
    interval = f"{rs.interval[0]:.3f} – {rs.interval[1]:.3f}" if rs.interval else "–"
    numbers = [interval, *("–" if s.value is None else f"{s.value:.3f}" for s in others)]
    value = "–" if rs.value is None else f"{rs.value:.4f}" if known else f"{rs.value:.3f}"
    return f"| {' | '.join([name, *([known] if known else []), value, *numbers, ' '.join(rs.flags)])} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["truth", "model", "sets"])
    parser.add_argument("models", nargs="*", default=["llava", "qwen2_vl", "flamingo", "qformer", "fuyu"])
    options = parser.parse_args()
    if options.what == "model":
        model(options.models)
    else:
        {"truth": truth, "sets": sets}[options.what]()
