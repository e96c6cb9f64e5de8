"""Where a board reads and writes: the folder of runs, and the directory of the site."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtbench.report.terms import Terms
from vtbench.runs.disk import disk, write_file
from vtbench_board.board_page import MARK, board_page
from vtbench_board.errors import BoardError
from vtbench_board.finished_runs import FoundRuns

PAGE = "index.html"
_TOLD = 3
"""Unfinished runs that the error about a folder without finished ones names."""


def check_folder(folder: Path, found: FoundRuns | None = None) -> None:
    """Check that there is a folder, and, once it was searched, finished runs in it.

    Raises:
        BoardError: there is none.
    """
    if not folder.is_dir():
        raise BoardError(f"{folder}: no such folder; name one of runs, as `vtbench run --output DIR` fills it")
    if (folder / "run.json").exists():
        raise BoardError(f"{folder}: this is one run; name the folder that it is in, {folder.absolute().parent}")
    if found is not None and not found.entries:
        each = [f"{path.name}: {why}" for path, why in list(found.left_out.items())[:_TOLD]]
        more = len(found.left_out) - len(each)
        left_out = f" ({'; '.join(each)}{f'; {more} more' if more else ''})" if each else ""
        what = f"no finished run here{left_out}" if left_out else "no runs here"
        raise BoardError(f"{folder}: {what}; `vtbench run --model NAME --tasks NAME --output {folder}` makes one")


def check_site(site: Path) -> None:
    """Check that the site replaces no page of another's.

    Raises:
        BoardError: `index.html` is there, and `vtbench board` has not written it.
    """
    page = site / PAGE
    if page.is_dir():
        raise BoardError(f"{page}: this is a directory; choose another --output")
    if page.exists() and MARK not in page.read_text(encoding="utf-8", errors="replace"):
        raise BoardError(f"{page}: not written by `vtbench board`, so it stays; choose another --output")


def write_site(site: Path, document: Mapping[str, Any], flags: Mapping[str, str], scores: Mapping[str, str]) -> Path:
    """Write the site, and return its page.

    Raises:
        ResultsError: the directory cannot be written to.
    """
    with disk(site):
        site.mkdir(parents=True, exist_ok=True)
    return write_file(site / PAGE, board_page(document, Terms(scores, flags)))
