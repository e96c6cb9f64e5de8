"""Is a balanced mix worse than single families because it mixes, or because it has fewer items of each?

    python benchmarks/balanced_mix.py [--steps 600] [--seeds 0] [--output results/mix]

From the neutral base: a model on each family; a balanced mix of all four with as many items in all, a quarter of each
family's (the arm `balanced` of the study); and the same mix for four times the steps, which has as many items of each
family as that family's own model. Then the table of all six, and on each family the paired difference of both mixes
from its own model. Started again it goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from checkpoint_scores import FAMILIES, Amounts, measured, table

from vtbench.runs.reader import runs
from vtbench_analysis import compare
from vtbench_training.finetune.trainer import FineTune, finetune

WARMUP, RATE = 50, 5e-4
"""Those of the study."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", default="0", help="several by comma")
    parser.add_argument("--output", type=Path, default=Path("results/mix"))
    options = parser.parse_args()
    for seed in map(int, options.seeds.split(",")):
        arms = {family: ({family: 1.0}, options.steps) for family in FAMILIES}
        mix = dict.fromkeys(FAMILIES, 1.0)
        arms |= {"balanced, equal in all": (mix, options.steps), "balanced, equal of each": (mix, 4 * options.steps)}
        found, places = {}, {}
        for name, (weights, steps) in arms.items():
            places[name] = options.output / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            config = FineTune(
                mix=weights, base="neutral", steps=steps, seed=seed, warmup=min(WARMUP, steps // 2), rate=RATE
            )
            checkpoint = finetune(config, places[name], "cpu", lambda line: print(line, flush=True))
            found[name] = measured(checkpoint, places[name] / "runs", Amounts(), cues=False)
        print(f"seed {seed}\n\n{table(found)}\n")
        print("| family | mix | less the family's own model, points | 95 % |\n|---|---|---|---|")
        mixes = list(arms)[len(FAMILIES) :]
        for family in FAMILIES:
            for name, cells in zip(mixes, paired(places, family, mixes), strict=True):
                print(f"| {family} | {name} | {cells} |")


def paired(places: Mapping[str, Path], family: str, mixes: Sequence[str]) -> list[str]:
    """Return how far each mix lies above a family's own model on the family's items, as two cells in points."""
    paths = [Path(runs(places[name] / "runs" / "answers")[0]["path"]) for name in (family, *mixes)]
    scores = compare(paths).document["tasks"][family]["scores"]
    found = scores["tuple_f1" if family == "scene_graph" else "acc"]["differences"].values()
    return [f"{100 * d['value']:+.1f} | {100 * d['interval'][0]:+.1f} to {100 * d['interval'][1]:+.1f}" for d in found]


if __name__ == "__main__":
    main()
