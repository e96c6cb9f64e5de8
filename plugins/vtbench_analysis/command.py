"""`vtbench compare` and `vtbench diagnose`: parse, then one call each. Nothing heavy is imported before they run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

_output = click.option("--output", metavar="FILE", help="Write the same as a page, one HTML file without network.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN...")
@_output
@_as_json
def compare(runs: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Test how runs differ from the first RUN, on the samples that all of them share."""
    from vtbench_analysis.comparing import compare as call
    from vtbench_analysis.pages import compare_page
    from vtbench_analysis.showing import show

    found = call(runs)
    if as_json:
        click.echo(json.dumps(found.document, allow_nan=False))
    else:
        show(found)
    _write(output, lambda: compare_page(found))


@click.command()
@click.argument("run", metavar="RUN")
@_output
@_as_json
def diagnose(run: str, output: str | None, as_json: bool) -> None:
    """Say where RUN goes wrong: lost in the visual tokens, not used by the decoder, or only the form of the answer."""
    from vtbench_analysis.diagnosing import diagnose as call
    from vtbench_analysis.pages import diagnosis_page
    from vtbench_analysis.telling import tell

    found = call(run)
    if as_json:
        click.echo(json.dumps(found.document, allow_nan=False))
    else:
        tell(found)
    _write(output, lambda: diagnosis_page(found))


def _write(output: str | None, page: Callable[[], str]) -> None:
    if output:
        from vtbench.runs.writer import write_file

        click.echo(f"written  {write_file(Path(output), page())}", err=True)
