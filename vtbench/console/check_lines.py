"""The lines of `vtbench check`: one for each check, passed or failed and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say

if TYPE_CHECKING:
    from vtbench.testing.checks import Check, CheckResult


def show_checks(label: str, checks: Sequence[Check], as_json: bool) -> int:
    """Run checks and print each result as soon as it is known.

    Args:
        label: what is checked, e.g. `model 'llava'`.
        checks: to run, in order.
        as_json: print a JSON document on standard output, and the lines on standard error.

    Returns:
        The exit status: 1 if a check failed.
    """
    from vtbench.testing.checks import run_checks

    def show(result: CheckResult) -> None:
        word = "passed" if result.passed else "-" if result.blocked else "FAILED"
        say(f"{word:6}  {result.check}" + ("" if result.passed else f": {result.reason}"), err=as_json)

    results = run_checks(checks, show)
    failed = sum(not result.passed and not result.blocked for result in results)
    blocked = sum(result.blocked for result in results)
    rest = f", {blocked} not checked" if blocked else ""
    say(f"{label}: {len(results)} checks, {failed or 'none'} failed{rest}", err=as_json)
    if as_json:
        rows = [{"check": r.check, "passed": r.passed, "blocked": r.blocked, "reason": r.reason} for r in results]
        say_json({"checked": label, "failed": failed, "not_checked": blocked, "checks": rows})
    return int(failed > 0)
