"""What does a redundancy penalty in pretraining do to cues, relations, drop curves, redundancy and information?

    python benchmarks/pretraining_penalty.py [--penalty cosine:0.1] [--scale 0.35] [--output results/penalty]
    python benchmarks/pretraining_penalty.py --checkpoints DIR DIR [--output results/penalty]

Two models of one recipe and seed are pretrained, without and with the penalty, measured, and put side by side with the
verdict of the guard. --scale shortens the recipe; 0.35 of it takes a quarter of an hour of an idle core for each model.
The second form makes the table of two checkpoints that are there. Started again it goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from checkpoint_scores import FAMILIES, Amounts, measured, table

from vtbench_training.finetune.penalty_check import rejection_reasons
from vtbench_training.finetune.settings import parse_penalty
from vtbench_training.pretrain.pipeline import pretrain
from vtbench_training.pretrain.recipe import RECIPES
from vtbench_training.pretrain.token_penalty import TokenPenalty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--penalty", default="cosine:0.1")
    parser.add_argument("--scale", type=float, default=0.35)
    parser.add_argument("--checkpoints", type=Path, nargs=2, metavar=("WITHOUT", "WITH"))
    parser.add_argument("--output", type=Path, default=Path("results/penalty"))
    options = parser.parse_args()
    arms = {"without": None, options.penalty: TokenPenalty(*parse_penalty(options.penalty))}
    found = {}
    for number, (name, penalty) in enumerate(arms.items()):
        output = options.output / ("without", "with")[number]
        checkpoint = options.checkpoints[number] if options.checkpoints else trained(output, options.scale, penalty)
        found[name] = measured(checkpoint, output / "runs", Amounts())
    print(table(found))
    sides = [
        {
            "information": of["probe"]["rs"]["detail"].get("information_joint"),
            "accuracy": {f: of[f]["tuple_f1" if f == "scene_graph" else "acc"]["value"] for f in FAMILIES},
        }
        for of in found.values()
    ]
    print("guard:", "; ".join(rejection_reasons(*sides)) or "accepted")


def trained(output: Path, scale: float, penalty: TokenPenalty | None) -> Path:
    """Return the checkpoint of the shortened recipe, trained at the first call."""
    finished = output / "model"
    if not (finished / "config.json").exists():
        recipe = RECIPES["default"].scaled(scale)
        pretrain(recipe, output, torch.device("cpu"), lambda line: print(line, flush=True), penalty=penalty)
    return finished


if __name__ == "__main__":
    main()
