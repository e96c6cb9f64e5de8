"""The commands `vtbench pretrain` and `vtbench train`. Torch is imported only when one runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import click

from vtbench.errors import VtbenchError
from vtbench_training.finetune.settings import OWN_BASE, FineTune, docs, parse_mix, parse_penalty
from vtbench_training.small_models import SMALL_MODELS, check_name

if TYPE_CHECKING:
    from vtbench.registry import Registry

_FLAGS = {"penalty": "--redundancy-penalty"}
"""Flags whose name is not the field's."""


@click.command()
@click.option("--model", default="llava", show_default=True, help=f"Family: {', '.join(SMALL_MODELS)}.")
@click.option("--recipe", "name", default="default", show_default=True, help="`default`, or `neutral`: captions alone.")
@click.option("--output", required=True, help="Directory for checkpoints, logs and the finished model.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the training scenes.")
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, or `auto`.")
@click.option("--scale", default=1.0, show_default=True, help="Multiplies every stage's steps; 0.01 tries it out.")
@click.option("--evaluate/--no-evaluate", default=True, help="Run the four families on the result and write its card.")
def pretrain(model: str, name: str, output: str, seed: int, device: str, scale: float, evaluate: bool) -> None:
    """Train a small model from random weights; called again, it resumes."""
    check_name(model)
    if not 0 < scale <= 100:
        raise VtbenchError(f"--scale {scale} must lie above 0 and at most at 100")
    try:
        import torch

        from vtbench.engine.allocator import keep_freed_memory
        from vtbench_training.pretrain.model_card import write_card, write_neutral_card
        from vtbench_training.pretrain.pipeline import pretrain as run_pretraining
        from vtbench_training.pretrain.recipe import RECIPES
        from vtbench_training.small_models.sizes import SIZES
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
    finished = run_pretraining(recipe, Path(output), torch.device(chosen), _print_progress, model)
    if evaluate:
        {"default": write_card, "neutral": write_neutral_card}[name](recipe, finished, chosen, model)
    click.echo(f"{finished}: finished; `vtbench run --model {model} --model-args pretrained={finished}` uses it")


def _print_progress(line: dict[str, Any]) -> None:
    left = (line["steps"] - line["step"]) * line["seconds_per_step"]
    rest = {k: v for k, v in line.items() if k not in ("stage", "step", "steps", "seconds_per_step")}
    click.echo(
        f"{line['stage']} {line['step']}/{line['steps']}, {left / 60:.1f} min left: {json.dumps(rest)}", err=True
    )


def _finetune_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option for every field of `FineTune` to a command."""
    texts, types = docs(), get_type_hints(FineTune)
    for field in reversed(fields(FineTune)):
        flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        kind = types[field.name] if types[field.name] in (int, float) else str
        shown = f" [{field.default}]" if isinstance(field.default, int | float | str) else ""
        text = texts[field.name] + shown
        metavar = {"mix": "FAMILY=W,...", "freeze": "PART,..."}.get(field.name)
        command = click.option(flag, field.name, type=kind, metavar=metavar, help=text)(command)
    return command


@click.command()
@click.option("--task", help="One family, or several by comma, of equal weight; --mix gives them weights.")
@_finetune_options
@click.option("--output", help="Directory for states, log and model. [results/train/<families>-<base>-<seed>]")
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, or `auto`.")
@click.option(
    "--save-every",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Steps from one saved state to the next.",
)
@click.option(
    "--check-images", type=click.IntRange(min=0), help="Images on which a penalty is checked; 0 skips the check."
)
@click.option("--tracker", multiple=True, help="`tensorboard` or `wandb`; may be given twice.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.pass_obj
def train(
    registry: Registry,
    task: str | None,
    output: str | None,
    device: str,
    save_every: int,
    check_images: int | None,
    tracker: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Fine-tune a model on task families: `vtbench train --task relational`; called again, it resumes."""
    config = _config(task, {name: value for name, value in given.items() if value is not None})
    try:
        from vtbench.engine.allocator import keep_freed_memory
        from vtbench_training.finetune.penalty_check import CHECK_IMAGES
        from vtbench_training.finetune.progress import ProgressBar, ProgressLines
        from vtbench_training.finetune.trainer import finetune
    except ImportError as error:
        raise VtbenchError(f"training needs {error.name}: pip install 'vtbench[train]'") from error
    keep_freed_memory()
    directory = Path(output) if output else _default_output(config)
    progress = ProgressBar(config.steps) if ProgressBar.possible() else ProgressLines()
    with progress if isinstance(progress, ProgressBar) else nullcontext():
        finished = finetune(
            config, directory, device, progress, save_every=save_every, trackers=tracker,
            check_images=CHECK_IMAGES if check_images is None else check_images, registry=registry,
        )  # fmt: skip
    guard = directory / "guard.json"
    measured = json.loads(guard.read_text(encoding="utf-8")) if guard.exists() else None
    if as_json:
        click.echo(json.dumps({"model": str(finished), "guard": measured}))
        return
    if measured:
        click.echo("\n".join(_check_summary(measured)))
    click.echo(f"{finished}: finished; `vtbench run --model {config.model} --model-args pretrained={finished}` uses it")


def _config(task: str | None, given: dict[str, Any]) -> FineTune:
    if (task is None) == ("mix" not in given):
        raise VtbenchError("name the families either by --task or by --mix, one of the two")
    mix = parse_mix(given.pop("mix", None) or task or "")
    if "freeze" in given:
        given["freeze"] = tuple(part.strip() for part in given["freeze"].split(",") if part.strip())
    if "penalty" in given:
        given["penalty"] = parse_penalty(given["penalty"])
    return FineTune(mix=mix, **given)


def _default_output(config: FineTune) -> Path:
    families = "+".join(name for name, weight in config.mix.items() if weight > 0)
    base = config.model if config.base == OWN_BASE and config.model != "llava" else config.base
    return Path("results") / "train" / f"{families}-{Path(base).name}-{config.seed}"


def _check_summary(check: dict[str, Any]) -> list[str]:
    """Return the result of a penalty's check as lines of text."""
    lines = []
    for name in ("base", "trained"):
        measured = check[name]
        information, rs = (
            "unknown" if measured[key] is None else f"{measured[key]:{form}}"
            for key, form in (("information", ".1f"), ("rs", ".3f"))
        )
        accuracy = ", ".join(f"{family} {100 * value:.1f} %" for family, value in measured["accuracy"].items())
        lines.append(f"{name:8} I(Z;X̃) {information} nats, RS {rs}, accuracy: {accuracy}")
    verdict = "accepted" if check["accepted"] else "not accepted: " + "; ".join(check["reasons"])
    return [*lines, f"penalty  {check['penalty'][0]}:{check['penalty'][1]:g} {verdict}"]
