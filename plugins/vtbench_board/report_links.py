"""Links from the site to the report of each run; a report that is missing is written first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from vtbench.console.terminal import single_line
from vtbench.runs.disk import write_file

REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class ReportLink:
    """Where a run's report is, as seen from the site."""

    href: str | None
    """Relative, percent-encoded; None if there is no report."""
    why_not: str = ""
    """Why there is none."""


def report_links(paths: Iterable[Path], site: Path, write: Callable[[Path], str] | None) -> dict[Path, ReportLink]:
    """Return a link for each run.

    Args:
        paths: directories of runs.
        site: directory of the page that links to them.
        write: makes the page of a run whose report is missing; None writes none.
    """
    return {path: _link(path, site, write) for path in paths}


def _link(path: Path, site: Path, write: Callable[[Path], str] | None) -> ReportLink:
    file = path / REPORT
    if not file.is_file():
        if write is None:
            return ReportLink(None, f"no report; vtbench report {path} writes it")
        try:
            write_file(file, write(path))
        except Exception as error:  # a report that cannot be made costs its link, not the board
            return ReportLink(None, f"no report: {single_line(f'{error}' or type(error).__name__)}")
    relative = os.path.relpath(os.path.abspath(file), os.path.abspath(site))
    return ReportLink(quote_from_bytes(os.fsencode(Path(relative).as_posix())))
