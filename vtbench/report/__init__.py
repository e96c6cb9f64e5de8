"""A run's stored records as one HTML file: no network, no model.

In: results/<run>/, and those of other runs to show beside it. Out: the text of report.html. Pictures are made again
from the tasks, by index. Everything that a model or a data file said is escaped: by the templates in HTML, as JSON that
cannot end its script element, and as text nodes by the scripts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from vtbench.errors import ResultsError
from vtbench.report.facts import facts
from vtbench.report.figures import figures
from vtbench.report.pages import environment
from vtbench.report.samples import RESULTS, SHOWN, table
from vtbench.report.scores import bar, beside, headlines, kinds, lettered
from vtbench.runs.reader import read_records, read_run
from vtbench.types import Task

__all__ = ["environment", "render", "scores_table"]

TILES = 5
"""Scores in the summary of a run of one task; of several, each shows its first."""

Section = Callable[[Path], str | None]


def render(
    path: Path,
    others: Sequence[Path] = (),
    sections: Mapping[str, Section] | None = None,
    shown: int = SHOWN,
    tasks: Sequence[Task] = (),
) -> str:
    """Return the report of the run at `path`.

    Args:
        path: the run's directory.
        others: finished runs whose scores stand beside its own.
        sections: further parts of the page, as the hook `vtbench_report_sections` describes them. One that fails
            becomes a line that says so.
        shown: how many samples at most are in the page's table.
        tasks: those of the run that are at hand; others are loaded again, to make their pictures.

    Raises:
        ResultsError: there is no run, or it has no results yet.
    """
    run, document = _finished(path)
    beside_it = lettered([_finished(other) for other in others])
    records = {name: list(read_records(path, name)) for name in document["results"]}
    samples = table(records, run, shown, {task.name: task for task in tasks})
    picture = next((row["pictures"][0] for row in samples.plain if row["pictures"]), "")
    parts = [
        {
            "name": name,
            "tiles": headlines(scores, TILES if len(document["scores"]) == 1 else 1),
            "scores": {score: s | {"bar": bar(s)} for score, s in scores.items()},
            "kinds": kinds(scores),
            "figures": figures(scores, picture),
            "beside": beside(name, document, beside_it),
            "left_out": document["left_out"][name],
            "counts": document["n-samples"][name],
            "failed": document["failed"][name],
        }
        for name, scores in document["scores"].items()
    ]
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            run=run,
            tasks=parts,
            samples=samples,
            results=RESULTS,
            others=beside_it,
            sections=_made(sections or {}, path),
            facts=facts(run),
        )
    )


def scores_table(rows: Sequence[Mapping[str, Any]], model: str) -> str:
    """Return the table of scores as an HTML fragment, for notebooks."""
    return environment().get_template("scores.html.jinja").render(rows=rows, model=model)


def _finished(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return run.json and results.json."""
    run = read_run(path)
    try:
        return run, json.loads((path / "results.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"{path}: no results yet; finish the run with --resume {path}") from error
    except ValueError as error:
        raise ResultsError(f"{path / 'results.json'}: broken: {error}") from error


def _made(sections: Mapping[str, Section], path: Path) -> list[dict[str, Any]]:
    """Make the parts that plugins bring: each is `html`, or `error` where it cannot be made."""
    made: list[dict[str, Any]] = []
    for name, section in sections.items():
        try:
            html = section(path)
        except Exception as error:  # whatever a stranger's section raises must not cost the report
            made.append({"name": name, "html": None, "error": " ".join(f"{type(error).__name__}: {error}".split())})
        else:
            if html:
                made.append({"name": name, "html": Markup(html), "error": None})
    return made
