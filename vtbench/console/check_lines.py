"""The lines of `vtbench check`: one for each check, passed or failed and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vtbench.testing.checks import Check, CheckResult


def show_checks(label: str, checks: Sequence[Check], as_json: bool) -> int:
    """Run checks and print each result as it comes; a reason that was printed before is referred to.

    Args:
        label: what is checked, e.g. `model 'llava'`.
        checks: to run.
        as_json: print a JSON document on standard output at the end, and the lines on standard error.

    Returns:
        The exit status: 1 if a check failed.
    """
    from vtbench.testing.checks import run_checks

    said: dict[str, str] = {}

    def show(result: CheckResult) -> None:
        if result.reason is None:
            click.echo(f"passed  {result.check}", err=as_json)
            return
        first = said.setdefault(result.reason, result.check)
        why = result.reason if first == result.check else f"as above ({first})"
        click.echo(f"FAILED  {result.check}: {why}", err=as_json)

    results = run_checks(checks, show)
    failed = sum(not result.passed for result in results)
    click.echo(f"{label}: {len(results)} checks, {failed or 'none'} failed", err=as_json)
    if as_json:
        rows = [{"check": result.check, "passed": result.passed, "reason": result.reason} for result in results]
        click.echo(json.dumps({"checked": label, "failed": failed, "checks": rows}))
    return int(failed > 0)
