"""Do the models that ship keep their order from synthetic to natural scenes? Writes results/transfer/.

Each model answers the four families and their natural counterparts, by generated and by ranked answers; its RS is
measured on the probe set and on the images of each natural task. `vtbench study --test ...` makes the same table of the
arms of a study.

    python benchmarks/transfer.py --runs DIR                   # measures what is missing in DIR, then writes the tables
    python benchmarks/transfer.py --runs DIR --tables-only     # writes them of what is there
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vtbench
from vtbench_study.bridge import MEASURED, Values, agreement_rows
from vtbench_study.model_results import main_score, stored_results
from vtbench_study.plan import FAMILIES
from vtbench_study.table_files import bridge_table

MODELS = ("llava", "flamingo", "qformer", "qwen2_vl", "fuyu")
PAIRS = [(family, f"natural_{family}") for family in FAMILIES]
METRICS = ("accuracy", "rank_accuracy", "scene_graph")
COLUMNS = ("model", "task", "measure", "value", "low", "high", "chance", "n", "basis", "flags")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "results" / "transfer")
    parser.add_argument("--models", default=",".join(MODELS), help="those to measure, by comma")
    parser.add_argument("--items", type=int, default=300, help="items of each task that a model answers")
    parser.add_argument("--images", type=int, default=2000, help="images of each RS")
    natural = ",".join(natural for _, natural in PAIRS)
    parser.add_argument("--rs", default=natural, help="natural tasks on whose images RS is measured, or none")
    parser.add_argument("--tables-only", action="store_true")
    options = parser.parse_args()
    if not options.tables_only:
        for model in options.models.split(","):
            measure(model, options)
    rows = [row for model in MODELS for row in rows_of(model, options.runs / model)]
    write(rows, options.output)


def measure(model: str, options: argparse.Namespace) -> None:
    """Measure what is not measured yet of one model."""
    tasks = [task for pair in PAIRS for task in pair]
    parts: list[tuple[str, list[str], Sequence[str], int]] = [("answers", tasks, METRICS, options.items)]
    asked = [] if options.rs == "none" else ["probe", *options.rs.split(",")]
    parts += [(f"rs-{task}", [task], ["redundancy"], options.images) for task in asked]
    for name, some, metrics, limit in parts:
        home = options.runs / model / name
        if stored_results(home) is None:
            begun = home.is_dir() and any(home.iterdir())
            vtbench.run(
                model, tasks=some, metrics=list(metrics), limit=limit, batch_size=32, output=str(home), report=False,
                resume=begun,
            )  # fmt: skip


def rows_of(model: str, home: Path) -> list[dict[str, Any]]:
    """Return what was measured of a model: a row for each task and measure."""
    answers = (stored_results(home / "answers") or {"scores": {}})["scores"]
    rows = []
    for task, scores in answers.items():
        rows.append(row(model, task, "accuracy", main_score(scores)))
        if scores.get("rank_acc", {}).get("value") is not None:
            rows.append(row(model, task, "ranking", flat(scores["rank_acc"])))
    for task in ("probe", *(natural for _, natural in PAIRS)):
        if found := stored_results(home / f"rs-{task}"):
            rs = found["scores"][task]["rs"]
            rows.append(row(model, task, "rs", flat(rs)) | {"basis": rs["detail"].get("basis_of", "")})
    return rows


def flat(score: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored score with the ends of its interval."""
    low, high = score["interval"] or (None, None)
    return {**score, "low": low, "high": high}


def row(model: str, task: str, measure: str, score: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of models.csv."""
    numbers = {key: score.get(key) for key in ("value", "low", "high", "chance", "n")}
    return {"model": model, "task": task, "measure": measure, **numbers, "flags": " ".join(score.get("flags") or ())}


def agreements(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how well the models keep their order, by measure and family."""
    found = {(row["model"], row["task"], row["measure"]): row["value"] for row in rows}
    models = list(dict.fromkeys(row["model"] for row in rows))
    compared = []
    for measure in MEASURED:
        values: Values = {
            model: {
                (family, natural): (
                    found.get((model, "probe" if measure == "rs" else family, measure)),
                    found.get((model, natural, measure)),
                )
                for family, natural in PAIRS
            }
            for model in models
        }
        compared += agreement_rows(measure, PAIRS, values)
    return compared


def write(rows: Sequence[Mapping[str, Any]], directory: Path) -> None:
    """Write models.csv, agreement.csv and table.md."""
    directory.mkdir(parents=True, exist_ok=True)
    compared = agreements(rows)
    _write_csv(directory / "models.csv", rows, COLUMNS)
    _write_csv(directory / "agreement.csv", compared, tuple(compared[0]) if compared else ())
    text = "\n".join([*value_table(rows), "", *bridge_table(compared)])
    (directory / "table.md").write_text(f"{text}\n", encoding="utf-8")


def value_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table of all values, a model a column."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines = [f"| measure | task | chance | {' | '.join(models)} |", "|---" * (len(models) + 3) + "|"]
    for measure in MEASURED:
        some = [row for row in rows if row["measure"] == measure]
        for task in dict.fromkeys(row["task"] for row in some):
            cells = {row["model"]: row for row in some if row["task"] == task}
            chance = next((row["chance"] for row in cells.values() if row["chance"] is not None), None)
            shown = "" if chance is None else f"{100 * chance:.1f}"
            values = [_cell(cells.get(model), measure) for model in models]
            lines.append(f"| {MEASURED[measure]} | `{task}` | {shown} | {' | '.join(values)} |")
    return lines


def _cell(row: Mapping[str, Any] | None, measure: str) -> str:
    if row is None or row["value"] is None:
        return ""
    scale, digits = (1, 3) if measure == "rs" else (100, 1)
    interval = "" if row["low"] is None else f" ({scale * row['low']:.{digits}f} – {scale * row['high']:.{digits}f})"
    return f"{scale * row['value']:.{digits}f}{interval}" + (f" *{row['flags']}*" if row["flags"] else "")


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
