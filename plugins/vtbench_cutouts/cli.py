"""The command `vtbench cutouts`. It imports numpy and Pillow only when it runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say, warn
from vtbench_cutouts.errors import CutoutError

if TYPE_CHECKING:
    from vtbench_cutouts.candidates import Candidate
    from vtbench_cutouts.cast_writer import CastResult

FORMATS = ("coco", "png", "stamps")


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--output", required=True, metavar="DIR", help="Directory to create; it must not exist, or be empty.")
@click.option("--format", "format_", metavar="FORMAT", help="coco, png or stamps; by default, what SOURCE looks like.")
@click.option("--images", metavar="DIR", help="Images of a COCO file; by default, beside it.")
@click.option("--groups", metavar="NAME,...", help="Only these groups, such as `animals,food`.")
@click.option("--leave-out", metavar="NAME,...", help="Not these objects: what the contact sheet has ruled out.")
@click.option("--limit", type=click.IntRange(min=2), metavar="N", help="At most N objects.")
@click.option("--licence", metavar="TEXT", help="Licence of the images, where the source does not say.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cutouts(
    source: str,
    output: str,
    format_: str | None,
    images: str | None,
    groups: str | None,
    leave_out: str | None,
    limit: int | None,
    licence: str | None,
    as_json: bool,
) -> None:
    """Make a cast of cut-outs for natural scenes: SOURCE is a COCO file, or a directory of PNG files or stamps."""
    from vtbench_cutouts.cast_writer import make_cast

    candidates = [*_candidates(Path(source), format_, images, licence)]
    if groups is not None:
        wanted, there = _names(groups), sorted({candidate.group for candidate in candidates})
        if unknown := sorted(wanted - {*there}):
            raise CutoutError(f"--groups {unknown[0]}: there are {', '.join(filter(None, there)) or 'none'}")
        candidates = [candidate for candidate in candidates if candidate.group in wanted]
    unwanted = _names(leave_out or "")
    if strange := sorted(unwanted - {candidate.name for candidate in candidates}):
        warn(f"--leave-out names what is not there: {', '.join(strange)}")
    result = make_cast(candidates, Path(output), limit, unwanted)
    if as_json:
        objects = [one.model_dump(mode="json") for one in result.objects]
        facts = {"cast": result.path, "digest": result.digest, "objects": objects, "dropped": result.reasons}
        say_json(facts)
    else:
        _show(result)


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _candidates(source: Path, format_: str | None, images: str | None, licence: str | None) -> Iterable[Candidate]:
    """Return the candidates of a source, in the format that is named, or that it looks like."""
    from vtbench_cutouts.coco import coco_candidates
    from vtbench_cutouts.image_folders import has_captions, png_candidates, stamp_candidates

    if format_ is not None and format_ not in FORMATS:
        raise CutoutError(f"--format {format_}: there are {', '.join(FORMATS)}")
    if not source.exists():
        raise CutoutError(f"{source}: no such file or directory")
    if format_ == "coco" or (format_ is None and source.is_file()):
        return coco_candidates(source, Path(images) if images else source.parent, licence)
    if not source.is_dir():
        raise CutoutError(f"{source}: is a file; --format {format_} reads directories")
    if format_ == "stamps" or (format_ is None and has_captions(source)):
        return stamp_candidates(source, licence)
    return png_candidates(source, licence)


def _show(result: CastResult) -> None:
    say(f"written  {result.path}: {len(result.objects)} objects, digest {result.digest[:12]}")
    for reason, number in result.reasons.items():
        say(f"dropped  {number:5}  {reason}")
    say(f"look at  {result.path}/contact_sheet.png; what was dropped and why: {result.path}/dropped.json")
    say(f"next:    scene: {{cast: {result.path}}} in a task that includes natural_relational, for example")
