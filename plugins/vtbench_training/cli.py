"""The commands `vtbench pretrain` and `vtbench train`. Torch is imported only when one runs."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtbench.console.json_document import say_json
from vtbench.console.options import option_name, settings_options
from vtbench.console.terminal import say
from vtbench.errors import VtbenchError, install_command
from vtbench.settings import checked
from vtbench_training.finetune.settings import OWN_BASE, FineTune, parse_mix, parse_penalty
from vtbench_training.pretrain.options import PretrainOptions

if TYPE_CHECKING:
    from vtbench.registry import Registry

_FLAGS = {"penalty": "--redundancy-penalty"}
"""Options whose name is not the field's."""


@click.command()
@settings_options(PretrainOptions, flags=_FLAGS, metavars={"output": "DIR", "penalty": "NAME:W", "penalty_base": "DIR"})
def pretrain(**given: Any) -> None:
    """Train a small model from random weights or around a pretrained decoder; called again, it resumes."""
    values = _given(given)
    if "penalty" in values:
        values["penalty"] = parse_penalty(values["penalty"])
    options = checked(PretrainOptions, values, partial(option_name, flags=_FLAGS))
    try:
        from vtbench.engine.allocator import keep_freed_memory
        from vtbench_hf.checkpoint.placement import choose_device
        from vtbench_training.finetune.base_model import base_arguments, base_directory
        from vtbench_training.pretrain.decoder_card import write_decoder_card
        from vtbench_training.pretrain.model_card import write_card, write_neutral_card
        from vtbench_training.pretrain.pipeline import pretrain as run_pretraining
        from vtbench_training.pretrain.recipe import RECIPES, decoder_recipe
        from vtbench_training.pretrain.token_penalty import TokenPenalty
        from vtbench_training.small_models.sizes import SIZES
    except ImportError as error:
        raise VtbenchError(f"training needs {error.name}: {install_command('train')}") from error
    device, model = choose_device(options.device), options.model
    recipe = RECIPES[options.recipe]
    if options.decoder:
        recipe = decoder_recipe(options.recipe, options.decoder, options.lora)
    recipe = replace(recipe, seed=options.seed, sizes=SIZES[model])
    if options.scale != 1:
        recipe = recipe.scaled(options.scale)
    keep_freed_memory()
    penalty = None if options.penalty is None else TokenPenalty(*options.penalty)
    if options.penalty_base is not None:  # which is loaded only after all has been trained
        base_arguments(options.penalty_base, model)
        base_directory(options.penalty_base, model)
    finished = run_pretraining(recipe, Path(options.output), device, _print_progress, model, penalty)
    if options.evaluate:
        if options.decoder:
            write_decoder_card(recipe, finished, str(device))
        else:
            {"default": write_card, "neutral": write_neutral_card}[options.recipe](recipe, finished, str(device), model)
        if options.penalty is not None:
            say("\n".join(_pretraining_guard(options, finished, str(device))))
    say(f"{finished}: finished; `vtbench run --model {model} --model-args pretrained={finished}` uses it")


def _pretraining_guard(options: PretrainOptions, finished: Path, device: str) -> list[str]:
    """Compare with a model of the same recipe without the penalty; return the result as lines of text."""
    from vtbench_training.finetune.base_model import base_arguments
    from vtbench_training.finetune.penalty_check import check_checkpoints
    from vtbench_training.pretrain.model_card import TASKS

    base = options.penalty_base or ("neutral" if options.recipe == "neutral" else None)
    if options.penalty_base is None and (options.scale != 1 or options.decoder):
        return ["penalty  not checked: name a checkpoint of this recipe without it with --penalty-base"]
    arguments = {} if base is None else base_arguments(base, options.model)
    penalty, output = options.penalty or (), Path(options.output)
    return _check_summary(check_checkpoints(arguments, finished, options.model, TASKS, penalty, output, device))


def _print_progress(line: dict[str, Any]) -> None:
    left = (line["steps"] - line["step"]) * line["seconds_per_step"]
    rest = {k: v for k, v in line.items() if k not in ("stage", "step", "steps", "seconds_per_step")}
    numbers = ", ".join(
        f"{k.replace('_', ' ')} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rest.items()
    )
    say(f"{line['stage']} {line['step']}/{line['steps']}, {left / 60:.1f} min left: {numbers}", err=True)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


@click.command()
@click.option(
    "--task", help="One task, or several by comma, of equal weight: names, groups or files; --mix gives them weights."
)
@settings_options(FineTune, flags=_FLAGS, metavars={"mix": "TASK=W,...", "freeze": "PART,...", "penalty": "NAME:W"})
@click.option("--output", help="Directory for states, log and model. [results/train/<tasks>-<base>-<seed>]")
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
    """Fine-tune a model on tasks: `vtbench train --task relational`; called again, it resumes."""
    config = _config(task, _given(given))
    try:
        from vtbench.engine.allocator import keep_freed_memory
        from vtbench_training.finetune.penalty_check import CHECK_IMAGES
        from vtbench_training.finetune.progress import ProgressBar, ProgressLines
        from vtbench_training.finetune.trainer import finetune
    except ImportError as error:
        raise VtbenchError(f"training needs {error.name}: {install_command('train')}") from error
    keep_freed_memory()
    directory = Path(output) if output else _default_output(config)
    progress = ProgressBar(config.steps) if ProgressBar.possible() else ProgressLines()
    with progress if isinstance(progress, ProgressBar) else nullcontext():
        finished = finetune(
            config, directory, device, progress, save_every=save_every, trackers=tracker,
            check_images=CHECK_IMAGES if check_images is None else check_images, registry=registry,
            phase=progress.phase,
        )  # fmt: skip
    guard = directory / "guard.json"
    measured = json.loads(guard.read_text(encoding="utf-8")) if guard.exists() else None
    if as_json:
        say_json({"model": str(finished), "guard": measured})
        return
    if measured:
        say("\n".join(_check_summary(measured)))
    arguments = _arguments(config, finished)
    say(f"{finished}: finished; `vtbench run --model {config.model} --model-args {arguments}` uses it")


def _arguments(config: FineTune, finished: Path) -> str:
    """Return the model arguments that load what was trained."""
    if config.quantization is None:
        return f"pretrained={finished}"
    base = "" if config.base == OWN_BASE else f"pretrained={config.base},"
    return f"{base}quantization={config.quantization},peft={finished}"


def _config(task: str | None, given: dict[str, Any]) -> FineTune:
    if (task is None) == ("mix" not in given):
        raise VtbenchError("name the tasks either by --task or by --mix, one of the two")
    mix = parse_mix(given.pop("mix", None) or task or "")
    if "freeze" in given:
        given["freeze"] = tuple(part.strip() for part in given["freeze"].split(",") if part.strip())
    if "penalty" in given:
        given["penalty"] = parse_penalty(given["penalty"])
    return checked(FineTune, {"mix": mix, **given}, partial(option_name, flags=_FLAGS))


def _default_output(config: FineTune) -> Path:
    tasks = "+".join(Path(name).stem for name, weight in config.mix.items() if weight > 0)
    base = config.model if config.base == OWN_BASE and config.model != "llava" else config.base
    return Path("results") / "train" / f"{tasks}-{Path(base).name}-{config.seed}"


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
