"""`vtbench pretrain`: parse, then one call. Nothing heavy is imported before the command runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from vtbench.errors import VtbenchError
from vtbench_training.pupils import PUPILS, check_name


@click.command()
@click.option("--model", default="llava", show_default=True, help=f"What to build: {', '.join(PUPILS)}.")
@click.option("--recipe", "name", default="default", show_default=True, help="`default`, or `neutral`: captions alone.")
@click.option("--output", required=True, help="Directory for checkpoints, logs and the finished model.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the training scenes.")
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, or `auto`.")
@click.option("--scale", default=1.0, show_default=True, help="Multiplies every stage's steps; 0.01 tries it out.")
@click.option("--evaluate/--no-evaluate", default=True, help="Run the four families on the result and write its card.")
def pretrain(model: str, name: str, output: str, seed: int, device: str, scale: float, evaluate: bool) -> None:
    """Train a small model from nothing; started again, it goes on where it was."""
    check_name(model)
    if not 0 < scale <= 100:
        raise VtbenchError(f"--scale {scale} must lie above 0 and at most at 100")
    try:
        import torch

        from vtbench_hf.allocator import keep_freed_memory
        from vtbench_training.card import write_card
        from vtbench_training.neutral_card import write_neutral_card
        from vtbench_training.pretrain import pretrain as run
        from vtbench_training.recipe import RECIPES, SIZES
    except ImportError as error:
        raise VtbenchError(f"training needs {error.name}: pip install 'vtbench[train]'") from error
    if name not in RECIPES:
        raise VtbenchError(f"pretrain knows no recipe {name!r}. There are: {', '.join(RECIPES)}.")
    if name == "neutral" and model != "llava":
        raise VtbenchError(f"the recipe neutral begins with the vision tower of a LLaVA, which {model} cannot take")
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    recipe = replace(RECIPES[name], seed=seed, sizes=SIZES[model])
    if scale != 1:
        recipe = recipe.scaled(scale)
    keep_freed_memory()
    finished = run(recipe, Path(output), torch.device(chosen), _show, model)
    if evaluate:
        {"default": write_card, "neutral": write_neutral_card}[name](recipe, finished, chosen, model)
    click.echo(f"{finished}: finished; `vtbench run --model {model} --model-args pretrained={finished}` uses it")


def _show(line: dict[str, Any]) -> None:
    left = (line["steps"] - line["step"]) * line["seconds_per_step"]
    rest = {k: v for k, v in line.items() if k not in ("stage", "step", "steps", "seconds_per_step")}
    click.echo(
        f"{line['stage']} {line['step']}/{line['steps']}, {left / 60:.1f} min left: {json.dumps(rest)}", err=True
    )
