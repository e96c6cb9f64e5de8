"""How far does the Redundancy Score depend on its settings? The tables in docs/redundancy.md.

    python benchmarks/redundancy_settings.py truth               made-up tokens whose RS is known
    python benchmarks/redundancy_settings.py model [MODEL ...]   the shipped models, on the probe set
    python benchmarks/redundancy_settings.py maps [MODEL ...]    the same, their token spaces mapped invertibly
    python benchmarks/redundancy_settings.py sets                the embedded one, on eight sets and on all at once

One setting at a time is changed from the protocol's. `--cache DIR` keeps the models' tokens, which take long.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from task_tokens import TaskTokens, coordinates, score, task_tokens

from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Score, Task
from vtbench_redundancy import Protocol, redundancy_score
from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.features.patch_layout import choose_layout
from vtbench_redundancy.metrics.basis_task import BASIS_SEED
from vtbench_redundancy.protocol import PROTOCOLS
from vtbench_redundancy.scores.redundancy_score import Redundancy
from vtbench_redundancy.scores.sample_budget import images_needed

IMAGES = (300, 1000, 2000, 4000)
SCORED, MOST = 2000, 3000
"""Images of the probe set that are scored, and where a row needs more of them."""


def changed(base: Protocol, values: Mapping[str, Sequence]) -> Iterator[tuple[str, int, Protocol]]:
    """Name, images and settings of each row, the protocol's own first."""
    yield "as in the protocol", SCORED, base
    for name, chosen in values.items():
        for value in chosen:
            if value != getattr(base, name):
                yield f"{name} = {value}", SCORED, replace(base, **{name: value})
    for n in IMAGES:
        if n != SCORED:
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
        "r": (4, 16), "r_x": (16,), "token_floor": (1e-4, 1e-2), "floor": (1e-3, 1e-1), "m": (8,), "exact": (256,),
        "projection": (64, 128), "permutations": (0, 20), "correction": ("none",), "basis": ("pca",), "seed": (1,),
    }  # fmt: skip
    print("| setting | true RS | RS | 95 % | flags |\n|---|---|---|---|---|")
    for name, n, protocol in changed(base, settings):
        if name.startswith("projection"):
            protocol = replace(protocol, exact=256)
        found = redundancy_score(tokens[:n], patches=patches[:n], protocol=protocol).rs
        chosen = choose_layout(m, None, protocol.m, protocol.subsets, protocol.seed).chosen_Sm
        rows = [np.concatenate([np.arange(i * r, (i + 1) * r) for i in choice]) for choice in chosen]
        parts = [replace(model, map_Mq=model.map_Mq[part], m=chosen.shape[1]) for part in rows]
        known = np.mean([part.rs(protocol.floor, protocol.token_floor) for part in parts])
        interval = f"{found.interval[0]:.3f} – {found.interval[1]:.3f}"
        print(f"| {name} | {known:.4f} | {found.value:.4f} | {interval} | {' '.join(found.flags)} |", flush=True)


def task(name: str, split: str | None, items: int, seed: int | None = None) -> Task:
    return load_task(find_task_files()[name], split=split, items=items, seed=seed)


def tokens_of(model: str, of: Task, cache: Path | None) -> TaskTokens:
    """A shipped model's tokens of a task, from the cache if they are there."""
    config = of.config()
    path = cache and cache / f"{model}-{of.name}-{config['version']}-{of.split}-{config['seed']}-{len(of)}.npz"
    if path and path.exists():
        with np.load(path) as found:
            boxes = found["boxes"] if len(found["boxes"]) else None
            return TaskTokens(found["tokens"], found["images"], boxes, found["clusters"].tolist())
    adapter = Registry().adapter(model, {})
    seen = task_tokens(adapter, of, len(of))
    adapter.close()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        boxes = np.empty(0) if seen.boxes is None else seen.boxes
        np.savez(path, tokens=seen.tokens, images=seen.images, boxes=boxes, clusters=np.array(seen.clusters))
    return seen


def basis_of(model: str, cache: Path | None) -> TaskTokens:
    """Its tokens of the images that a run fits the basis on."""
    return tokens_of(model, task("probe", "train", Protocol().basis_images, BASIS_SEED), cache)


SETTINGS: Mapping[str, tuple[int, Protocol]] = {
    "protocol": (SCORED, Protocol()),
    **{f"r = {r}": (SCORED, Protocol(r=r)) for r in (4, 8, 16)},
    **{f"pca, r = {r}": (SCORED, Protocol(basis="pca", r=r)) for r in (4, 8, 16)},
    **{f"m = {m}, r = {r}": (SCORED, Protocol(m=m, r=r)) for m in (16, 32) for r in (4, 8, 16)},
    **{f"token floor {floor:g}": (SCORED, Protocol(token_floor=floor)) for floor in (1e-4, 1e-2)},
    **{f"floor {floor:g}": (SCORED, Protocol(floor=floor)) for floor in (1e-3, 1e-1)},
    **{f"n = {n}": (n, Protocol()) for n in (300, 1000, MOST)},
}
"""Images and settings of each column."""
_OF_COORDINATES = ("m", "r", "r_x", "cells", "basis", "basis_floor", "held_out", "colour", "subsets", "seed")


def model(names: list[str], cache: Path | None) -> None:
    """Every setting on the same images of the probe set: RS, n_eff of 16 and `discarded`, a column for each model.

    A dash: the model has no more tokens than that m. `+` marks a value of `MOST` images, as fewer are not enough for
    its coordinates; `*` an unconverged score, `°` a reduced one.
    """
    tables: dict[str, dict[str, list[str]]] = {
        score_name: {setting: [] for setting in SETTINGS} for score_name in ("RS", "n_eff_16", "discarded")
    }
    for name in names:
        for setting, found in scores_by_setting(name, cache):
            print(f"{name}, {setting}: {' '.join(found)}", file=sys.stderr, flush=True)
            for rows, cell in zip(tables.values(), found, strict=True):
                rows[setting].append(cell)
    for score_name, rows in tables.items():
        print(f"\n| {score_name} | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
        for setting, cells in rows.items():
            print(f"| {setting} | {' | '.join(cells)} |", flush=True)


def scores_by_setting(name: str, cache: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Yield each setting with a model's RS, n_eff of 16 and `discarded` under it, as they are printed."""
    seen, basis = tokens_of(name, task("probe", None, MOST), cache), basis_of(name, cache)
    count = seen.tokens.shape[1]
    made: dict[tuple, dict[str, np.ndarray]] = {}
    scored: dict[tuple, Redundancy] = {}
    for setting, (n, protocol) in SETTINGS.items():
        together = min(count, protocol.m)
        if count <= protocol.m and "m =" in setting:
            yield setting, ["–"] * 3
            continue
        width = together * protocol.coordinates(together) + protocol.r_x
        more = n == SCORED and protocol.held_out and images_needed(width, protocol) > n
        if protocol.r is None and protocol.held_out:
            protocol = replace(protocol, r=protocol.coordinates(together))
        key = (MOST if more else n, protocol)
        if key not in scored:
            of = tuple(getattr(protocol, field) for field in _OF_COORDINATES)
            if of not in made:
                made[of] = coordinates(seen, basis, protocol)
            scored[key] = score(seen, made[of], protocol, key[0])
        found = scored[key]
        yield setting, [_cell(value) + "+" * more for value in (found.rs, found.n_eff_16, found.discarded)]


def maps(names: list[str], cache: Path | None) -> None:
    """RS of each model's tokens as they are, and what invertible linear maps of the token space add to it.

    A random matrix of Gaussian numbers, and axes scaled by log-normal factors: what a next linear layer undoes.
    """
    print("| model | RS | random matrix | scaled axes |\n|---|---|---|---|")
    for name in names:
        seen, basis = tokens_of(name, task("probe", None, MOST), cache), basis_of(name, cache)
        seen = TaskTokens(seen.tokens[:SCORED], seen.images[:SCORED], seen.boxes, seen.clusters[:SCORED])
        d, generator = seen.tokens.shape[2], np.random.default_rng(1)
        matrix, scales = generator.standard_normal((d, d)) / d**0.5, np.exp(generator.standard_normal(d))
        values = []
        for by in (np.eye(d), matrix, np.diag(scales)):
            of, on = (replace(one, tokens=one.tokens.astype(np.float64) @ by) for one in (seen, basis))
            values.append(score(of, coordinates(of, on, Protocol()), Protocol()).rs.value)
        moved = " | ".join(f"{value - values[0]:+.5f}" for value in values[1:])
        print(f"| {name} | {values[0]:.4f} | {moved} |", flush=True)


def _cell(found: Score) -> str:
    value = "–" if found.value is None else f"{found.value:.3f}"
    return value + "*" * ("unconverged" in found.flags) + "°" * ("reduced" in found.flags)


def sets(cache: Path | None, protocols: Sequence[Protocol], count: int = 8) -> None:
    """How far one set of images is from another, how far the interval says, and what many more images say.

    Training images of `relational`, the embedded model.
    """
    seen = tokens_of("llava", task("relational", "train", count * SCORED), cache)
    basis = basis_of("llava", cache)
    print("| protocol | images | sets | RS, mean | SD | mean SE | bias | covering | unconverged |")
    print("|---|---|---|---|---|---|---|---|---|")
    for protocol in protocols:
        found = coordinates(seen, basis, protocol)
        whole, total = score(seen, found, protocol).rs, count * SCORED
        print(f"| {protocol.name} | {total} | 1 | {whole.value:.4f} | | {whole.stderr:.4f} | | | |", flush=True)
        for n in (300, 1000, SCORED):
            parts = []
            for start in range(0, total, SCORED):
                rows = slice(start, start + n)
                part = TaskTokens(seen.tokens[rows], seen.images[rows], seen.boxes, seen.clusters[rows])
                own = {name: array[rows] for name, array in found.items()}
                if not protocol.held_out:  # fitted on what it scores
                    own = coordinates(part, basis, protocol)
                parts.append(score(part, own, protocol).rs)
            values = np.array([rs.value for rs in parts])
            inside = sum(rs.interval[0] <= whole.value <= rs.interval[1] for rs in parts)
            errors, bias = np.mean([rs.stderr for rs in parts]), values.mean() - whole.value
            print(
                f"| {protocol.name} | {n} | {count} | {values.mean():.4f} | {values.std(ddof=1):.4f} "
                f"| {errors:.4f} | {bias:+.4f} | {inside} of {count} "
                f"| {sum('unconverged' in rs.flags for rs in parts)} of {count} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["truth", "model", "maps", "sets"])
    parser.add_argument("models", nargs="*", default=["llava", "qwen2_vl", "flamingo", "qformer", "fuyu"])
    parser.add_argument("--cache", type=Path, help="directory that keeps the models' tokens")
    options = parser.parse_args()
    if options.what == "truth":
        truth()
    elif options.what == "model":
        model(options.models, options.cache)
    elif options.what == "maps":
        maps(options.models, options.cache)
    else:
        sets(options.cache, [Protocol(), PROTOCOLS["rs-v1"]])
