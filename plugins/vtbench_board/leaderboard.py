"""The leaderboards of a folder: for each task its groups of comparable runs, ranked by each of their scores.

In: the runs found in the folder, and a link to the report of each. Out: one JSON-able document, which the page, the
terminal and `--json` show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtbench.runs.provenance import strict
from vtbench.scoring.token_counts import measured_m
from vtbench_board.comparable import Comparable, comparable
from vtbench_board.errors import BoardError
from vtbench_board.finished_runs import Entry, FoundRuns
from vtbench_board.ranking import Ranking, Standing, rankings
from vtbench_board.report_links import ReportLink

_OF_MODEL = ("gen", "chat_template_args")
"""Settings of a run that belong to its model's row, besides its arguments."""


def leaderboards(found: FoundRuns, links: Mapping[Path, ReportLink], sort_by: str | None = None) -> dict[str, Any]:
    """Return the document.

    Args:
        found: the runs.
        links: by directory, where the run's report is.
        sort_by: name of the score that orders the rows where a group has it; else it is the group's first.

    Raises:
        BoardError: no run has the score `sort_by`.
    """
    tasks = {
        task: [_group(group, links, sort_by) for group in comparable(entries)]
        for task, entries in found.tasks().items()
    }
    names = dict.fromkeys(c["score"] for groups in tasks.values() for group in groups for c in group["columns"])
    if sort_by is not None and sort_by not in names:
        raise BoardError(f"--score: no run has a score {sort_by!r}; there are {', '.join(names) or 'none'}")
    document: dict[str, Any] = strict(
        {
            "folder": str(found.folder),
            "runs": len({entry.path for entry in found.entries}),
            "tasks": tasks,
            "left_out": {str(path): reason for path, reason in found.left_out.items()},
        }
    )
    return document


def _group(group: Comparable, links: Mapping[Path, ReportLink], sort_by: str | None) -> dict[str, Any]:
    ranked = rankings(group.entries)
    chosen = next((ranking for ranking in ranked if ranking.column.score == sort_by), ranked[0] if ranked else None)
    order = chosen.order(len(group.entries)) if chosen else range(len(group.entries))
    return {
        "title": group.title,
        "apart": group.apart,
        "sorted_by": chosen.column.name if chosen else None,
        "columns": [_column(ranking) for ranking in ranked],
        "rows": [_row(group.entries[place], links[group.entries[place].path], ranked, place) for place in order],
    }


def _column(ranking: Ranking) -> dict[str, Any]:
    scores = [standing.score for standing in ranking.standings.values()]
    chances = {score["chance"] for score in scores}
    return {
        "name": ranking.column.name,
        "score": ranking.column.score,
        "protocol": ranking.column.protocol,
        "m": measured_m(ranking.column.score, scores[0]),
        "better": ranking.better,
        "percent": all(score["percent"] for score in scores),
        "chance": chances.pop() if len(chances) == 1 else None,
        "leader": next((place for place, standing in ranking.standings.items() if standing.leads), None) is not None,
        "tests": sorted({s.difference.test for s in ranking.standings.values() if s.difference and s.difference.test}),
    }


def _row(entry: Entry, link: ReportLink, ranked: list[Ranking], place: int) -> dict[str, Any]:
    run, config = entry.run, entry.run["config"]
    counts = entry.results["n-samples"][entry.task]
    return {
        "run": run["run_id"],
        "path": str(entry.path),
        "report": link.href,
        "no_report": link.why_not,
        "model": config["model"],
        "settings": _model_settings(entry),
        "checkpoint": _text(run["model"].get("checkpoint")),
        "format": entry.asked,
        "limit": config.get("limit"),
        "begun": str(run["created"])[:16].replace("T", " "),
        "samples": counts["original"],
        "failed": entry.results["failed"][entry.task],
        "scores": {
            ranking.column.name: _cell(ranking.standings[place]) for ranking in ranked if place in ranking.standings
        },
    }


def _model_settings(entry: Entry) -> dict[str, str]:
    """Return what tells two rows of one model apart: arguments, dtype, budget, generation, room, image size."""
    config, model = entry.run["config"], entry.run["model"]
    found = {key: _text(value) for key, value in config["model_args"].items()}
    for name in _OF_MODEL:
        found |= {key: _text(value) for key, value in (config.get(name) or {}).items()}
    if config.get("dtype") not in (None, "auto"):
        found["dtype"] = _text(config["dtype"])
    for name in ("budget", "max_new_tokens"):
        if config.get(name) is not None:
            found[name] = _text(config[name])
    if model.get("image_size"):
        found["image size"] = _text(model["image_size"])
    return found


def _cell(standing: Standing) -> dict[str, Any]:
    score, difference = standing.score, standing.difference
    found = {key: score[key] for key in ("value", "interval", "n", "chance", "flags", "percent")}
    found |= {"rank": standing.rank, "leads": standing.leads, "tied": standing.tied}
    if difference is None or difference.value is None:
        return found
    return found | {
        "difference": {
            "value": difference.value,
            "interval": difference.interval,
            "p": difference.p,
            "p_holm": standing.p_holm,
            "test": difference.test,
            "flags": list(difference.flags),
        }
    }


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
