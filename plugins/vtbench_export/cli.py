"""The command `vtbench export`. It imports numpy and pyarrow only when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say
from vtbench_export.defaults import IMAGE_SIZE

if TYPE_CHECKING:
    from vtbench.registry import Registry
    from vtbench_export.exporter import ExportResult

_USAGE = {
    "lm-eval": "lm_eval --model hf-multimodal --model_args pretrained=CHECKPOINT --apply_chat_template --batch_size 16 "
    "--include_path {output} --tasks {names}",
    "lmms-eval": "lmms-eval --model MODEL --model_args pretrained=CHECKPOINT --include_path {output} --tasks {names}",
    "parquet": 'datasets.load_dataset("{output}", "{first}")',
    "webdataset": 'webdataset.WebDataset("{output}/{first}/000000.tar", shardshuffle=False).decode("pil")',
}


@click.command()
@click.option("--tasks", multiple=True, required=True, metavar="NAME,...", help="Tasks, as `vtbench run` takes them.")
@click.option("--format", "format_", required=True, metavar="FORMAT", help="lm-eval, lmms-eval, parquet or webdataset.")
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
@click.pass_obj
def export(
    registry: Registry,
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
    """Write tasks for other tools: lm-eval, lmms-eval, datasets (parquet, with Croissant), webdataset."""
    from vtbench_export.exporter import export as write_tasks

    with ExitStack() as stack:
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
            on_start=lambda total: _progress_bar(total, stack),
        )
    if as_json:
        say_json(result.document())
    else:
        _print_result(result)


def _progress_bar(total: int, stack: ExitStack) -> Callable[[int], None]:
    """Show a progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        return lambda written: None
    bar: Any = stack.enter_context(click.progressbar(length=total, label="samples", file=sys.stderr))
    return lambda written: bar.update(written)


def _print_result(result: ExportResult) -> None:
    counts = ", ".join(f"{name} {samples}" for name, samples in result.samples.items())
    size = f"{result.files} files, {result.bytes / 1e6:.1f} MB, {result.rate:.0f} samples/s"
    say(f"written  {result.path} ({result.format}): {counts}; {size}")
    names = ",".join(f"vtb_{name}" for name in result.samples)
    say("next:    " + _USAGE[result.format].format(output=result.path, names=names, first=next(iter(result.samples))))
