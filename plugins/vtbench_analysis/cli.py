"""The commands `vtbench compare` and `vtbench diagnose`. Heavy modules are imported when a command runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import click
from annotated_types import Ge, Gt, Lt

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say
from vtbench.registry import Registry
from vtbench.settings import check_value

_output = click.option("--output", metavar="FILE", help="Also write an HTML page, one file without network access.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN...")
@click.option("--max-drop", metavar="X", help="Exit with 1 if a score fell by more than X points. [0 with --alpha]")
@click.option("--alpha", metavar="X", help="Level at which it must be significant. [0.05 with --max-drop]")
@click.option("--scores", metavar="NAME,...", help="Only these scores may fail; all by default.")
@click.option("--fail-on", metavar="FLAG,...", help="Exit with 1 if a score of any run carries one of these flags.")
@_output
@_as_json
@click.pass_obj
def compare(
    registry: Registry,
    runs: tuple[str, ...],
    max_drop: str | None,
    alpha: str | None,
    scores: str | None,
    fail_on: str | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Test how runs differ from the first RUN, on the samples that all of them share.

    With --max-drop, --alpha or --scores it is a gate: exit status 1 says that a score fell below the first run's.
    """
    from vtbench.report.terms import Terms
    from vtbench_analysis.comparison.gate import flagged, gate
    from vtbench_analysis.comparison.report import comparison_page, print_comparison
    from vtbench_analysis.comparison.run_comparison import compare as compare_runs

    allowed, level = _number(max_drop, "--max-drop", Ge(0)), _number(alpha, "--alpha", Gt(0), Lt(1))
    named, flags = _names(scores, "--scores"), _names(fail_on, "--fail-on")
    comparison = compare_runs(runs)
    gated = allowed is not None or level is not None or named is not None
    found = gate(comparison, allowed or 0.0, 0.05 if level is None else level, named) if gated else None
    carrying = flagged(comparison, flags or ())
    _warn(comparison.remarks)
    if as_json:
        parts = ({"gate": found.document} if found else {}) | ({"flagged": carrying} if flags else {})
        say_json(comparison.document | parts)
    else:
        print_comparison(comparison, registry.flags())
    for line in found.lines() if found else ():
        say(line, err=as_json)
    for score in carrying:
        say(f"flagged    {score['task']} {score['score']}: {', '.join(score['flags'])} ({score['run']})", err=as_json)
    _write(output, lambda: comparison_page(comparison, Terms(registry.scores(), registry.flags())))
    return int(bool(carrying) or (found is not None and found.fell))


def _number(text: str | None, label: str, *bounds: Ge | Gt | Lt) -> float | None:
    kind = Annotated[float, *bounds]
    return None if text is None else float(check_value(kind, text, label))


def _names(text: str | None, label: str) -> list[str] | None:
    if text is None:
        return None
    names = [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise click.UsageError(f"{label}: name at least one")
    return names


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
        say_json(diagnosis.document)
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
