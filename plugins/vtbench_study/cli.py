"""The command `vtbench study`: parses options, calls `run_study`, prints its document.

Nothing heavy is imported before the command runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtbench.console.json_document import say_json
from vtbench.console.options import option_name, settings_options
from vtbench.console.terminal import say
from vtbench.errors import VtbenchError, install_command
from vtbench.settings import checked
from vtbench_study.plan import QUICK, Plan
from vtbench_training.finetune.settings import parse_mix

if TYPE_CHECKING:
    from vtbench.registry import Registry

_FLAGS = {"base": "--from", "mixes": "--mix", "penalties": "--penalty", "tests": "--test", "files": "--task-file"}
"""Options whose name is not the field's."""
_METAVARS = {"families": "NAME,...", "mixes": "NAME:FAMILY=W,...", "penalties": "ARM:NAME:W", "seeds": "N,...",
             "full_rate": "ARM,...", "snapshots": "SHARE,...", "shipped": "NAME,...",
             "tests": "NAME,...", "files": "PATH"}  # fmt: skip


@click.command()
@settings_options(Plan, flags=_FLAGS, metavars=_METAVARS, multiple=("mixes", "penalties", "files"))
@click.option(
    "--executor",
    default="local",
    show_default=True,
    help="Where the models run, NAME:setting=value; `vtbench ls executors`.",
)
@click.option("--device", default="auto", show_default=True, help="Device of the models: `cpu`, `cuda`, or `auto`.")
@click.option("--train-only", is_flag=True, help="Train the models and measure none; without it they are measured.")
@click.option(
    "--join",
    metavar="DIR,DIR,...",
    help="Join studies of one plan whose seeds or arms were measured in these directories, and measure nothing; "
    "their files are written to --output.",
)
@click.option("--output", help="Output directory. [results/study, with --quick results/study-quick]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.pass_obj
def study(
    registry: Registry,
    executor: str,
    device: str,
    train_only: bool,
    join: str | None,
    output: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fine-tune a model per family, measure its visual tokens, and test the paper's claims; resumes if interrupted."""
    try:
        import accelerate  # noqa: F401
        import sklearn  # noqa: F401

        from vtbench_study.joined_study import join_studies
        from vtbench_study.study import run_study, train_study
        from vtbench_study.study_progress import ProgressLines, ProgressScreen
    except ImportError as error:
        raise VtbenchError(f"the study needs {error.name}: {install_command('train,probes')}") from error
    runner = registry.executor(executor)
    values = {**(QUICK if options["quick"] else {}), **_plan_fields(options)}
    plan = checked(Plan, values, partial(option_name, flags=_FLAGS))
    directory = Path(output or ("results/study-quick" if plan.quick else "results/study"))
    if join is not None:
        if given := [name for name, value in options.items() if value not in (None, (), False)]:
            raise VtbenchError(
                f"--join: the plan is that of the joined studies; leave out {option_name(given[0], _FLAGS)}"
            )
        _print(join_studies([Path(part) for part in _split(join)], directory), directory, registry, as_json)
        return
    progress = ProgressScreen(directory / "logs") if ProgressScreen.possible() else ProgressLines()
    if train_only:
        with progress:
            names = train_study(plan, directory, runner, device, progress)
        counted = f"trained  {len(names)} models in {directory / 'models'}; the same command without --train-only"
        say_json({"trained": names}) if as_json else say(f"{counted} measures them")
        return
    with progress:
        document = run_study(plan, directory, runner, device, progress)
    _print(document, directory, registry, as_json)


def _print(document: dict[str, Any], directory: Path, registry: Registry, as_json: bool) -> None:
    from vtbench_study.text_report import print_study

    if as_json:
        say_json(document)
        return
    print_study(document, registry.flags())
    say(f"written  {directory / 'report.html'}")


def _plan_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `Plan` that the options set."""
    fields = {name: value for name, value in options.items() if value not in (None, ())}
    if "families" in fields:
        families = fields["families"] = tuple(_split(fields["families"]))
        if families:  # defaults of mix and penalty follow the families; `Plan` rejects an empty list
            penalised = next((name for name in families if name.endswith("relational")), families[-1])
            fields.setdefault("mixes", (f"balanced:{','.join(families)}",))
            fields.setdefault("penalties", (f"{penalised}:cosine:0.1",))
            if not options["quick"]:
                fields.setdefault("full_rate", ",".join(dict.fromkeys((families[0], families[-1]))))
    fields["files"] = tuple(str(Path(file).resolve()) for file in fields.get("files", ()))
    for name in ("seeds", "full_rate", "snapshots", "shipped", "tests"):
        if name in fields:
            fields[name] = () if fields[name] == "none" and name != "seeds" else tuple(_split(fields[name]))
    for name, flag, parse in (("mixes", "--mix", parse_mix), ("penalties", "--penalty", str)):
        if name in fields:
            values = [text for text in fields[name] if text != "none"]
            fields[name] = dict(_parse_named(text, flag, parse) for text in values)
    return fields


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_named(text: str, flag: str, parse: Callable[[str], Any]) -> tuple[str, Any]:
    """Parse NAME:VALUE."""
    name, colon, rest = text.partition(":")
    if not colon or not name.strip() or not rest.strip():
        raise VtbenchError(
            f"{flag}: write NAME:..., as balanced:coarse=1,relational=1 or coarse:cosine:0.1, not {text!r}"
        )
    return name.strip(), parse(rest.strip())
