"""Renders the stored records of a run as one HTML file that needs neither network nor model.

The input is results/<run>/ and the directories of other runs to compare with. All text from models and data files is
escaped: by the templates in HTML, as JSON that cannot end its script element, and by the scripts as text nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from vtbench.console.formatting import asked_as, left_out_scores
from vtbench.errors import ResultsError
from vtbench.report.page import cut, environment
from vtbench.report.previews import SHOWN
from vtbench.report.sample_table import RESULTS, sample_table
from vtbench.report.score_charts import score_charts
from vtbench.report.score_table import compared_scores, headlines, other_runs, overview, run_facts, with_marks
from vtbench.report.terms import Terms
from vtbench.runs.reader import read_results, read_run, read_task
from vtbench.scoring.breakdown import stored_breakdowns
from vtbench.scoring.token_counts import UNEQUAL_M, unequal_m
from vtbench.types import Task

__all__ = ["environment", "render", "scores_table"]

TILES = 5
"""Scores in the summary of a run of one task; of several tasks, each shows its first."""

Section = Callable[[Path], str | None]


def render(
    path: Path,
    others: Sequence[Path] = (),
    sections: Mapping[str, Section] | None = None,
    shown: int = SHOWN,
    tasks: Sequence[Task] = (),
    warn: Callable[[str], None] = lambda text: None,
    flags: Mapping[str, str] = MappingProxyType({}),
    scores: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the report of the run at `path`.

    Args:
        path: the run's directory.
        others: directories of finished runs whose scores are shown for comparison.
        sections: further sections, as the hook `vtbench_report_sections` describes them. One that fails becomes a line
            with its error.
        shown: maximal number of samples in the page's table.
        tasks: tasks of the run that are loaded already; others are loaded if images must be made again.
        warn: called with each line about samples that are missing from the run's files, or there twice. The page has
            them too.
        flags: what flags of scores mean, as `Registry.flags` returns it.
        scores: what scores are, as `Registry.scores` returns it.

    Raises:
        ResultsError: there is no run, or it has no results yet.
    """
    run, document = _finished(path)
    compared = other_runs([_finished(other) for other in others])
    stored = {name: read_task(path, name) for name in document["results"]}
    remarks = [text for name, task in stored.items() for text in task.remarks(run["tasks"][name]["samples"])]
    for text in remarks:
        warn(text)
    records = {name: task.records for name, task in stored.items()}
    samples = sample_table(records, run, shown, {task.name: task for task in tasks})
    samples = replace(samples, notes=(*remarks, *samples.notes))
    image = next((row["images"][0] for row in samples.static_rows if row["images"]), "")
    parts = [
        {
            "name": name,
            "asked": asked_as(document.get("configs", {}).get(name, {}), run["config"].get("system")),
            "max_new_tokens": document.get("configs", {}).get(name, {}).get("max_new_tokens"),
            "tiles": headlines(of_task, TILES if len(document["scores"]) == 1 else 0),
            "scores": {name: with_marks(name, score) for name, score in of_task.items()},
            "unequal_m": unequal_m(of_task.items()),
            "breakdowns": stored_breakdowns(of_task),
            "charts": score_charts(of_task, image),
            "other_runs": compared_scores(name, document, compared),
            "left_out": document["left_out"][name],
            "left_out_scores": left_out_scores(of_task),
            "counts": document["n-samples"][name],
            "failed": document["failed"][name],
            "unobserved": document.get("unobserved", {}).get(name, {}),
            "answers": document.get("answers", {}).get(name, {}),  # runs before scoring version 3 have none
        }
        for name, of_task in document["scores"].items()
    ]
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            run=run,
            tasks=parts,
            overview=(columns := overview(document["scores"])),
            unequal_m=unequal_m((n, of.get(n)) for of in document["scores"].values() for n in columns),
            about_m=UNEQUAL_M,
            begun_as=list(_begun_as(run)),
            samples=samples,
            results=RESULTS,
            others=compared,
            sections=_rendered(sections or {}, path),
            run_facts=run_facts(run),
            terms=Terms(scores, flags),
        )
    )


def scores_table(rows: Sequence[Mapping[str, Any]], model: str) -> str:
    """Return a table of scores as an HTML fragment, for notebooks.

    Args:
        rows: of a `RunResult`.
        model: caption of the table.
    """
    return environment().get_template("scores.html.jinja").render(rows=rows, model=model)


def _finished(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return run.json and results.json."""
    run, document = read_run(path), read_results(path)
    if unknown := document["results"].keys() - run["tasks"].keys():
        raise ResultsError(f"{path / 'run.json'}: broken: results.json has the task {min(unknown)!r}, and this has not")
    return run, document


def _begun_as(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield the checkpoint, the time and the limit of a run, as far as its run.json has them."""
    model, created, limit = run.get("model"), run.get("created"), run["config"].get("limit")
    checkpoint = model.get("checkpoint") if isinstance(model, Mapping) else None
    if checkpoint:
        yield f"Checkpoint {cut(str(checkpoint), 200)}"
    if isinstance(created, str) and created:
        yield f"begun {created[:16].replace('T', ' ')}"
    if isinstance(limit, int) and limit:
        yield f"the first {limit:,} items of each task"


def _rendered(sections: Mapping[str, Section], path: Path) -> list[dict[str, Any]]:
    """Return the sections of plugins, each with `html`, or with `error` if it raised one."""
    rendered: list[dict[str, Any]] = []
    for name, section in sections.items():
        try:
            html = section(path)
        except Exception as error:  # no error of a plugin's section may cost the report
            rendered.append({"name": name, "html": None, "error": " ".join(f"{type(error).__name__}: {error}".split())})
        else:
            if html:
                rendered.append({"name": name, "html": Markup(html), "error": None})
    return rendered
