"""The command `vtbench export`. It imports numpy, pyarrow and inspect_ai only when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say
from vtbench_export.defaults import IMAGE_SIZE
from vtbench_export.errors import ExportError

if TYPE_CHECKING:
    from vtbench.registry import Registry
    from vtbench_export.exporter import ExportResult

_USAGE = {
    "lm-eval": "lm_eval --model hf-multimodal --model_args pretrained=CHECKPOINT --apply_chat_template --batch_size 16 "
    "--include_path {output} --tasks {names}",
    "lmms-eval": "lmms-eval --model MODEL --model_args pretrained=CHECKPOINT --include_path {output} --tasks {names}",
    "parquet": 'datasets.load_dataset("{output}", "{first}")',
    "webdataset": 'webdataset.WebDataset("{output}/{first}/000000.tar", shardshuffle=False).decode("pil")',
    "inspect": "inspect view --log-dir {output}",
}
_OF_TASKS = ("limit", "split", "seed", "prompt_format", "image_size")
"""Options that say how tasks are made. A run has made them, and takes none of these."""


@click.command()
@click.argument("run", required=False)
@click.option(
    "--tasks", multiple=True, metavar="NAME,...", help="Tasks, as `vtbench run` takes them; of a run, by default all."
)
@click.option(
    "--format",
    "format_",
    required=True,
    metavar="FORMAT",
    help="Of tasks: lm-eval, lmms-eval, parquet or webdataset. Of a run: inspect.",
)
@click.option("--output", required=True, metavar="DIR", help="Directory to create; it must not exist, or be empty.")
@click.option("--limit", type=int, metavar="N", help="Only the first N samples of each task.")
@click.option("--split", metavar="TEXT", help="Split of the tasks, in place of the one that each names.")
@click.option("--seed", type=int, metavar="N", help="Seed of the tasks, in place of the one that each names.")
@click.option(
    "--prompt-format",
    default="plain",
    show_default=True,
    metavar="NAME",
    help="How questions are put; `instruct` for models that have not seen the benchmark.",
)
@click.option(
    "--image-size",
    type=int,
    default=IMAGE_SIZE,
    show_default=True,
    metavar="PIXELS",
    help="Side of rendered images: the model's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def export(
    context: click.Context,
    run: str | None,
    tasks: tuple[str, ...],
    format_: str,
    output: str,
    limit: int | None,
    split: str | None,
    seed: int | None,
    prompt_format: str,
    image_size: int,
    as_json: bool,
) -> None:
    """Write tasks, or the finished run in directory RUN, for other tools.

    Tasks: lm-eval, lmms-eval, datasets (parquet, with Croissant), webdataset. A run: logs of Inspect.
    """
    registry: Registry = context.obj
    with ExitStack() as stack:

        def on_start(total: int) -> Callable[[int], None]:
            return _progress_bar(total, stack)

        if run is None:
            from vtbench_export.exporter import export as write_tasks

            result = write_tasks(
                ",".join(tasks),
                format_,
                output,
                limit=limit,
                split=split,
                seed=seed,
                prompt_format=prompt_format,
                image_size=image_size,
                registry=registry,
                on_start=on_start,
            )
        else:
            from vtbench_export.run_exporter import export_run

            _refuse_options_of_tasks(context)
            result = export_run(run, format_, output, tasks=",".join(tasks), on_start=on_start)
    if as_json:
        say_json(result.document())
    else:
        _print_result(result)


def _refuse_options_of_tasks(context: click.Context) -> None:
    for name in _OF_TASKS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise ExportError(
                f"--{name.replace('_', '-')}: says how tasks are made; a run has made them, so leave it out"
            )


def _progress_bar(total: int, stack: ExitStack) -> Callable[[int], None]:
    """Show a progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        return lambda written: None
    bar: Any = stack.enter_context(click.progressbar(length=total, label="samples", file=sys.stderr))
    return lambda written: bar.update(written)


def _print_result(result: ExportResult) -> None:
    counts = ", ".join(f"{name} {samples}" for name, samples in result.samples.items())
    size = f"{result.files} files, {result.bytes / 1e6:.1f} MB, {result.rate:.0f} samples/s"
    for note in result.notes:
        say(f"note:    {note}")
    say(f"written  {result.path} ({result.format}): {counts}; {size}")
    names = ",".join(f"vtb_{name}" for name in result.samples)
    say("next:    " + _USAGE[result.format].format(output=result.path, names=names, first=next(iter(result.samples))))
