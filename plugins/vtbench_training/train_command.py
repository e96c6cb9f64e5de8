"""`vtbench train`: parse, then one call. Nothing heavy is imported before the command runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import click

from vtbench.errors import VtbenchError
from vtbench_training.settings import OWN, FineTune, docs, parse_mix, parse_penalty

_FLAGS = {"penalty": "--redundancy-penalty"}
"""Flags that are not the field's own name."""


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for every field of `FineTune`."""
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
@_settings
@click.option("--output", help="Directory for states, log and model. [results/train/<families>-<base>-<seed>]")
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, or `auto`.")
@click.option(
    "--save-every", type=click.IntRange(min=1), default=50, show_default=True, help="Steps from state to state."
)
@click.option(
    "--guard-images", type=click.IntRange(min=0), help="Pictures on which a penalty's guard measures; 0: none."
)
@click.option("--tracker", multiple=True, help="`tensorboard` or `wandb`; may be given twice.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def train(
    task: str | None,
    output: str | None,
    device: str,
    save_every: int,
    guard_images: int | None,
    tracker: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Fine-tune a model on task families: `vtbench train --task relational`; started again, it goes on where it was."""
    config = _config(task, {name: value for name, value in given.items() if value is not None})
    try:
        from vtbench_hf.allocator import keep_freed_memory
        from vtbench_training.finetune import finetune
        from vtbench_training.guard import GUARD_IMAGES
        from vtbench_training.showing import Lines, Progress
    except ImportError as error:
        raise VtbenchError(f"training needs {error.name}: pip install 'vtbench[train]'") from error
    keep_freed_memory()
    directory = Path(output) if output else _default_output(config)
    progress = Progress(config.steps) if Progress.possible() else Lines()
    with progress if isinstance(progress, Progress) else nullcontext():
        finished = finetune(
            config, directory, device, progress, save_every=save_every, trackers=tracker,
            guard_images=GUARD_IMAGES if guard_images is None else guard_images,
        )  # fmt: skip
    guard = directory / "guard.json"
    measured = json.loads(guard.read_text(encoding="utf-8")) if guard.exists() else None
    if as_json:
        click.echo(json.dumps({"model": str(finished), "guard": measured}))
        return
    if measured:
        click.echo("\n".join(_told(measured)))
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
    own = config.model if config.base == OWN and config.model != "llava" else config.base
    return Path("results") / "train" / f"{families}-{Path(own).name}-{config.seed}"


def _told(guard: dict[str, Any]) -> list[str]:
    """Say what a penalty's guard found."""
    lines = []
    for name in ("base", "trained"):
        measured = guard[name]
        information, rs = (
            "unknown" if measured[key] is None else f"{measured[key]:{form}}"
            for key, form in (("information", ".1f"), ("rs", ".3f"))
        )
        accuracy = ", ".join(f"{family} {100 * value:.1f} %" for family, value in measured["accuracy"].items())
        lines.append(f"{name:8} I(Z;X̃) {information} nats, RS {rs}, accuracy: {accuracy}")
    verdict = "accepted" if guard["accepted"] else "not accepted: " + "; ".join(guard["reasons"])
    return [*lines, f"penalty  {guard['penalty'][0]}:{guard['penalty'][1]:g} {verdict}"]
