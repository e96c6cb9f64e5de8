"""`vtbench export`: parse, then one call. Nothing heavy is imported before the command runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from vtbench_export import IMAGE_SIZE

if TYPE_CHECKING:
    from vtbench.registry import Registry
    from vtbench_export.exporting import Exported

_NEXT = {
    "lm-eval": "lm_eval --model hf-multimodal --model_args pretrained=CHECKPOINT --apply_chat_template --batch_size 16 "
    "--include_path {output} --tasks {names}",
    "lmms-eval": "lmms-eval --model MODEL --model_args pretrained=CHECKPOINT --include_path {output} --tasks {names}",
    "parquet": 'datasets.load_dataset("{output}", "{first}")',
    "webdataset": 'webdataset.WebDataset("{output}/{first}/000000.tar", shardshuffle=False).decode("pil")',
}


@click.command()
@click.option("--tasks", multiple=True, required=True, metavar="NAME,...", help="Tasks, as `vtbench run` takes them.")
@click.option("--format", "format_", required=True, metavar="FORMAT", help="lm-eval, lmms-eval, parquet or webdataset.")
@click.option("--output", required=True, metavar="DIR", help="Directory to make; it must not be there, or be empty.")
@click.option("--limit", type=int, metavar="N", help="Only the first N samples of each task.")
@click.option("--split", metavar="TEXT", help="Split of the tasks, instead of the one that each names.")
@click.option("--seed", type=int, metavar="N", help="Seed of the tasks, instead of the one that each names.")
@click.option(
    "--image-size",
    type=int,
    default=IMAGE_SIZE,
    show_default=True,
    metavar="PIXELS",
    help="Side of the pictures: the model's.",
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
    image_size: int,
    as_json: bool,
) -> None:
    """Write tasks for other tools: lm-eval, lmms-eval, datasets (parquet, with Croissant), webdataset."""
    from vtbench_export.exporting import export as call

    with ExitStack() as shown:
        done = call(
            ",".join(tasks),
            format_,
            output,
            limit=limit,
            split=split,
            seed=seed,
            image_size=image_size,
            registry=registry,
            begin=lambda total: _bar(total, shown),
        )
    if as_json:
        click.echo(json.dumps(done.document()))
    else:
        _tell(done)


def _bar(total: int, shown: ExitStack) -> Callable[[int], None]:
    """Show a bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return lambda made: None
    bar: Any = shown.enter_context(click.progressbar(length=total, label="samples", file=sys.stderr))
    return lambda made: bar.update(made)


def _tell(done: Exported) -> None:
    counts = ", ".join(f"{name} {samples}" for name, samples in done.samples.items())
    size = f"{done.files} files, {done.bytes / 1e6:.1f} MB, {done.rate:.0f} samples/s"
    click.echo(f"written  {done.path} ({done.format}): {counts}; {size}")
    names = ",".join(f"vtb_{name}" for name in done.samples)
    click.echo("next:    " + _NEXT[done.format].format(output=done.path, names=names, first=next(iter(done.samples))))
