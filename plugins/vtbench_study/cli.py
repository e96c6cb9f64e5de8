"""`vtbench study`: parse, then one call. Nothing heavy is imported before the command runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtbench.config import EXECUTOR
from vtbench.errors import VtbenchError

if TYPE_CHECKING:
    from vtbench.registry import Registry


@click.command()
@click.option("--quick", is_flag=True, help="A small version that ends within 15 minutes on two CPU cores.")
@click.option("--from", "base", help="Where all models start: `neutral`, `base`, or a LLaVA checkpoint. [neutral]")
@click.option("--families", metavar="NAME,...", help="From the simplest to the most complex. [the paper's four]")
@click.option(
    "--mix",
    "mixes",
    metavar="NAME:FAMILY=W,...",
    multiple=True,
    help="A mix to train; `none` for none. [balanced: all families]",
)
@click.option("--penalty", "penalties", metavar="ARM:NAME:W", multiple=True,
              help="An arm to train under a redundancy penalty too; `none`. [relational:cosine:0.1]")  # fmt: skip
@click.option("--seeds", metavar="N,...", help="One model of every arm for each. [0,1,2]")
@click.option("--steps", type=int, help="Training steps of every model. [600]")
@click.option("--batch-size", type=int, help="Items in a step. [32]")
@click.option("--rate", type=float, help="Highest learning rate. [5e-4]")
@click.option("--items", type=int, help="Items of every family that each model answers. [500]")
@click.option("--images", type=int, help="Pictures on which redundancy is measured. [2000]")
@click.option("--executor", default="local", show_default=True, help="Where models run; `vtbench ls executors`.")
@click.option("--address", metavar="HOST:PORT", help="The executor's cluster. [one that runs here]")
@click.option("--workers", type=int, help="Models at once. [here one for every core, at most four]")
@click.option("--cpus-per-worker", type=float, help="CPU cores of each, on a cluster. [1]")
@click.option("--gpus-per-worker", type=float, help="GPUs of each, on a cluster. [1 where there are any]")
@click.option("--device", default="auto", show_default=True, help="Where models run: `cpu`, `cuda`, or `auto`.")
@click.option("--output", help="Directory for everything it leaves. [results/study, with --quick results/study-quick]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.pass_obj
def study(
    registry: Registry, quick: bool, executor: str, device: str, output: str | None, as_json: bool, **given: Any
) -> None:
    """Fine-tune a model per family, measure its visual tokens, and test the paper's claims; goes on where it was."""
    try:
        import accelerate  # noqa: F401
        import sklearn  # noqa: F401

        from vtbench_study.plan import QUICK, Plan
        from vtbench_study.showing import show, told
        from vtbench_study.study import study as call
    except ImportError as error:
        raise VtbenchError(f"the study needs {error.name}: pip install 'vtbench[train,probes]'") from error
    place = registry.executor(executor, _settings(given))
    plan = Plan(**{**(QUICK if quick else {}), **_fields(given)})
    directory = Path(output or ("results/study-quick" if quick else "results/study"))
    document = call(plan, directory, place, device, told)
    if as_json:
        click.echo(json.dumps(document, allow_nan=False))
        return
    show(document)
    click.echo(f"written  {directory / 'report.html'}")


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Take the executor's settings out of what flags say, and return those that are given."""
    return {key: value for key in EXECUTOR if (value := given.pop(key)) is not None}


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `Plan` that flags set."""
    fields = {name: value for name, value in given.items() if value not in (None, ())}
    if "families" in fields:
        families = fields["families"] = tuple(_parts(fields["families"]))
        if families:  # what is trained beside them follows; none at all is for `Plan` to refuse
            penalised = "relational" if "relational" in families else families[-1]
            fields.setdefault("mixes", (f"balanced:{','.join(families)}",))
            fields.setdefault("penalties", (f"{penalised}:cosine:0.1",))
    if "seeds" in fields:
        fields["seeds"] = tuple(map(_whole, _parts(fields["seeds"])))
    for name, flag, read in (("mixes", "--mix", _mix), ("penalties", "--penalty", str)):
        if name in fields:
            said = [text for text in fields[name] if text != "none"]
            fields[name] = dict(_named(text, flag, read) for text in said)
    return fields


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise VtbenchError(f"--seeds: {text!r} is no whole number; write 0,1,2") from None


def _named(text: str, flag: str, read: Any) -> tuple[str, Any]:
    name, colon, rest = text.partition(":")
    if not colon or not name.strip() or not rest.strip():
        raise VtbenchError(
            f"{flag}: write NAME:..., as balanced:coarse=1,relational=1 or coarse:cosine:0.1, not {text!r}"
        )
    return name.strip(), read(rest.strip())


def _mix(text: str) -> dict[str, float]:
    from vtbench_training.settings import parse_mix

    return parse_mix(text)
