"""A run's stored records as one HTML file: no network, no model.

In: results/<run>/. Out: the text of report.html. Pictures are made again from the tasks, by index. Everything that a
model or a data file said is escaped by the template.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.console import number
from vtbench.errors import StoreError
from vtbench.report.figures import figures
from vtbench.report.pictures import Pictures
from vtbench.stored import read_records, read_run
from vtbench.types import Record

if TYPE_CHECKING:
    import jinja2

    from vtbench.results import RunResult

SHOWN = 12
"""Samples shown of each sort (wrong, right, failed) and task."""


def render(path: Path, shown: int = SHOWN) -> str:
    """Return the report of the run at `path`.

    Raises:
        StoreError: there is no run, or it has no results yet.
    """
    run = read_run(path)
    try:
        document = json.loads((path / "results.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: no results yet; finish the run with --resume {path}") from error
    tasks = []
    for name in document["results"]:
        pictures = Pictures(run, name)
        groups = [
            {
                "title": title,
                "count": len(records),
                "samples": [{"record": r, "pictures": pictures.of(r)} for r in records[:shown]],
            }
            for title, records in sort(list(read_records(path, name))).items()
        ]
        scores = {score: s | bar(s) for score, s in document["scores"][name].items()}
        tasks.append(
            {
                "name": name,
                "scores": scores,
                "kinds": kinds(document["scores"][name]),
                "figures": figures(document["scores"][name]),
                "groups": groups,
                "left_out": document["left_out"][name],
                "counts": document["n-samples"][name],
                "failed": document["failed"][name],
                "note": pictures.note,
            }
        )
    return environment().get_template("report.html.jinja").render(run=run, tasks=tasks, facts=facts(run))


def scores_table(result: RunResult) -> str:
    """Return the table of scores as an HTML fragment, for notebooks."""
    return environment().get_template("scores.html.jinja").render(rows=result.rows(), model=result.config.model)


def environment(*packages: str) -> jinja2.Environment:
    """Return templates that escape everything: those of the report, and those beside the modules of `packages`.

    A page of its own extends `page.html.jinja`: it fills the blocks `title`, `header`, `main` and `footer`, and takes
    the report's looks from it. The filter `number` writes scores as tables do.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, ".") for name in ("vtbench.report", *packages)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment


def right(record: Record) -> bool:
    """Whether the sample counts as right: by the first metric that says so, else by the text itself."""
    for observation in record.scores.values():
        if "correct" in observation:
            return bool(observation["correct"] == 1)
    return record.output is not None and record.output.strip() == record.target


def sort(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return records by what came of them, those to look at first."""
    groups: dict[str, list[Record]] = {"Failed": [], "Wrong": [], "Right": []}
    for record in sorted(records, key=lambda r: r.index):
        groups["Failed" if record.error else "Right" if right(record) else "Wrong"].append(record)
    return {title: group for title, group in groups.items() if group}


def bar(score: dict[str, Any]) -> dict[str, Any]:
    """Return where a score between 0 and 1 and its interval stand on a line of 100, empty for others."""
    ends = score["interval"] or (score["value"], score["value"])
    if not score["percent"] or score["value"] is None or not all(0 <= end <= 1 for end in (score["value"], *ends)):
        return {"bar": None}
    chance = None if score["chance"] is None else 100 * score["chance"]
    return {"bar": {"low": 100 * ends[0], "high": 100 * ends[1], "value": 100 * score["value"], "chance": chance}}


def kinds(scores: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the breakdowns that scores carry: kind -> score -> its value, n and chance."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for name, score in scores.items():
        for kind, cell in (score["detail"].get("by_kind") or {}).items():
            if isinstance(cell, dict) and isinstance(cell.get(name), (int, float)):
                row = {"value": cell[name], "n": cell.get("n"), "percent": score["percent"]}
                table.setdefault(kind or "-", {})[name] = row
    return dict(sorted(table.items()))


def facts(run: dict[str, Any]) -> dict[str, Any]:
    """Return what a reader needs to judge or repeat the run, as label -> text."""
    model, versions = run["model"], run["versions"]
    plain = {key: value for key, value in model.items() if isinstance(value, (str, int, float)) and value != ""}
    plugins = [f"{name} ({p['distribution']} {p['version']})" for name, p in versions["plugins"].items()]
    packages = {**{k: v for k, v in versions.items() if k not in ("plugins", "platform")}, **model.get("versions", {})}
    return {
        "Run": run["run_id"],
        "Begun": run["created"][:19],
        "Model": ", ".join(f"{key} {value}" for key, value in plain.items()),
        "Arguments": json.dumps(run["config"]["model_args"]) if run["config"]["model_args"] else "none",
        "Versions": ", ".join(f"{name} {version}" for name, version in packages.items() if version),
        "Plugins": ", ".join(plugins) or "none",
        "Platform": versions["platform"],
        "Git commit": run["git"] or "not in a git repository",
        "Config digest": run["digest"],
    }
