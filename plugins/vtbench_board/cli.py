"""The command `vtbench board`. Heavy modules are imported when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vtbench.config import expanded
from vtbench.console.formatting import number
from vtbench.console.json_document import say_json
from vtbench.console.terminal import say, single_line
from vtbench.registry import Registry


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--output", metavar="DIR", help="Directory of the site, index.html. [that of the runs]")
@click.option("--score", metavar="NAME", help="Sort by this score where runs have it. [each task's first]")
@click.option("--reports/--no-reports", default=True, help="Write the reports that are missing.  [default: reports]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; write a site only with --output.")
@click.pass_obj
def board(registry: Registry, folder: str, output: str | None, score: str | None, reports: bool, as_json: bool) -> None:
    """Write a static site with a leaderboard of all finished runs in DIR for each task."""
    from vtbench.report import render
    from vtbench_board.board_site import check_folder, check_site, write_site
    from vtbench_board.finished_runs import find_runs
    from vtbench_board.leaderboard import leaderboards
    from vtbench_board.report_links import report_links

    runs = Path(expanded(folder, "DIR"))
    check_folder(runs)
    site = Path(expanded(output, "--output")) if output else None if as_json else runs
    if site:
        check_site(site)
    found = find_runs(runs)
    check_folder(runs, found)
    for path, why in found.left_out.items():
        say(f"left out  {single_line(f'{path}: {why}')}", err=True)

    def page(path: Path) -> str:
        say(f"report    {path}", err=True)
        return render(path, (), registry.report_sections(), flags=registry.flags(), scores=registry.scores())

    paths = dict.fromkeys(entry.path for entry in found.entries)
    links = report_links(paths, site or runs, page if reports and site else None)
    document = leaderboards(found, links, score)
    if as_json:
        say_json(document)
    else:
        for task, groups in document["tasks"].items():
            for group in groups:
                say(_summary(task, group))
    if site:
        say(f"written   {write_site(site, document, registry.flags(), registry.scores())}", err=as_json)


def _summary(task: str, group: Mapping[str, Any]) -> str:
    """Return a line about one leaderboard: how many runs, which leads, and how many are not told apart from it."""
    rows, by = group["rows"], group["sorted_by"]
    text = f"{task}  {group['title']}: {len(rows)} run{'s' * (len(rows) != 1)}"
    for row in rows:
        cell = row["scores"].get(by, {})
        if cell.get("leads"):
            tied = sum(bool(other["scores"].get(by, {}).get("tied")) for other in rows)
            value = f"{number(cell['value'], cell['percent'])}{' %' * cell['percent']}"
            text += f"; {row['model']} leads by {by} with {value}, {tied or 'none'} tied"
    return single_line(text)
