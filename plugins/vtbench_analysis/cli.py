"""The commands `vtbench compare` and `vtbench diagnose`. Heavy modules are imported when a command runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from vtbench.console.terminal import say

_output = click.option("--output", metavar="FILE", help="Also write an HTML page, one file without network access.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN...")
@_output
@_as_json
def compare(runs: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Test how runs differ from the first RUN, on the samples that all of them share."""
    from vtbench_analysis.comparison.report import comparison_page, print_comparison
    from vtbench_analysis.comparison.run_comparison import compare as compare_runs

    comparison = compare_runs(runs)
    _warn(comparison.remarks)
    if as_json:
        say(json.dumps(comparison.document, allow_nan=False))
    else:
        print_comparison(comparison)
    _write(output, lambda: comparison_page(comparison))


@click.command()
@click.argument("run", metavar="RUN")
@_output
@_as_json
def diagnose(run: str, output: str | None, as_json: bool) -> None:
    """Find why RUN fails: cues lost in the visual tokens, cues not used by the decoder, or the answer format."""
    from vtbench_analysis.diagnosis.report import diagnosis_page, print_diagnosis
    from vtbench_analysis.diagnosis.run_diagnosis import diagnose as diagnose_run

    diagnosis = diagnose_run(run)
    _warn([text for task in diagnosis.run.tasks for text in diagnosis.run.remarks(task)])
    if as_json:
        say(json.dumps(diagnosis.document, allow_nan=False))
    else:
        print_diagnosis(diagnosis)
    _write(output, lambda: diagnosis_page(diagnosis))


def _warn(remarks: Sequence[str]) -> None:
    for text in remarks:
        click.echo(f"vtbench: warning: {text}", err=True)


def _write(output: str | None, page: Callable[[], str]) -> None:
    if output:
        from vtbench.runs.disk import write_file

        say(f"written  {write_file(Path(output), page())}", err=True)
