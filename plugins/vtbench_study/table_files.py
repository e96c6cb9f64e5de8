"""The tables of a study's document as files: CSV in long format, and the paper's table in Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from vtbench.console.formatting import number
from vtbench_study.model_results import MEASURES
from vtbench_study.text_report import interval_text, p_text, trend_text

MEAN_COLUMNS = ("mean", "low", "high", "seed_sd", "image_se")
"""Of every mean over seeds, see `model_results.mean_row`."""


def table_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return file contents by name: table.md, and CSV files for each part of the document that is a table."""
    rows = {
        "table": _table(document),
        "transfer": _transfer(document),
        "models": document["models"],
        "claims": document["claims"],
        "layers": _layers(document),
        "drop": _drop(document),
        "cues": _cues(document),
        "tokens": _tokens(document),
    }
    return {f"{name}.csv": _csv(list(table)) for name, table in rows.items()} | {"table.md": markdown(document)}


def markdown(document: Mapping[str, Any]) -> str:
    """Return the paper's table with the measured numbers, and the verdicts, in Markdown.

    Headings say "pictures", as the tables of published studies do.
    """
    lines = [
        "| trained on | RS, probe set | RS, own pictures | discarded, % | accuracy, % | behind grey, % "
        "| paper claims RS | paper claims accuracy, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["table"]:
        paper = document["paper"].get(row["arm"])
        cells = [
            *(_cell(row.get(name), percent) for name, percent in
              (("rs_probe", False), ("rs_own", False), ("discarded", True), ("accuracy", True), ("blind", True))),
            *([f"*{paper['rs']:.2f}*", f"*{100 * paper['accuracy']:.0f}*"] if paper else ["", ""]),
        ]  # fmt: skip
        lines.append(f"| `{row['arm']}` | {' | '.join(cells)} |")
    if document["before"]:
        before = ", ".join(f"`{family}` {number(rs, False)}" for family, rs in document["before"].items())
        lines += ["", f"The base, trained on no family, has on the pictures of each: {before}."]
    lines += ["", "| claim | verdict | test |", "|---|---|---|"]
    lines += [f"| {claim['text']} | **{claim['verdict']}** | {trend_text(claim)} |" for claim in document["claims"]]
    lines += ["", "| advice | RS and its p-value | lost | verdict |", "|---|---|---|---|"]
    for row in document["advice"]:
        change = "unknown" if row["rs_difference"] is None else f"{row['rs_difference']:+.3f}"
        p = "" if row["rs_p"] is None else f", {p_text(row['rs_p'])}"
        verdict = "helps" if row["helps"] else "does not help"
        lines.append(
            f"| `{row['arm']}` beside `{row['beside']}` | {change}{p} | {'; '.join(row['lost'])} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _cell(mean: Mapping[str, Any] | None, percent: bool) -> str:
    if mean is None or mean["mean"] is None:
        return ""
    interval = f" ({interval_text(mean, percent)})" if mean["low"] is not None else ""
    return f"{number(mean['mean'], percent)}{interval}"


def _table(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for row in document["table"]:
        paper = document["paper"].get(row["arm"], {})
        for measure in MEASURES:
            if measure in row:
                yield (
                    {"arm": row["arm"], "measure": measure}
                    | {key: row[measure][key] for key in MEAN_COLUMNS}
                    | {
                        "paper_claims": {"rs_probe": paper.get("rs"), "accuracy": paper.get("accuracy")}.get(measure),
                        "flags": " ".join(row["flags"]) if measure == "rs_probe" else "",
                    }
                )


def _transfer(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for arm, row in document["transfer"].items():
        for family, cell in row.items():
            yield {"trained_on": arm, "asked": family} | {key: cell[key] for key in ("score", "chance", *MEAN_COLUMNS)}


def _layers(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for arm, layers in document["layers"].items():
        for layer, mean in layers.items():
            yield {"arm": arm, "layer": layer} | {key: mean[key] for key in MEAN_COLUMNS}


def _drop(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for arm, families in document["drop"].items():
        for family, points in families.items():
            for point in points:
                yield {"arm": arm, "family": family} | {
                    key: point[key] for key in ("policy", "fraction", "tokens", *MEAN_COLUMNS)
                }


def _cues(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for arm, rows in document["cues"].items():
        for row in rows:
            yield (
                {"arm": arm}
                | {key: row[key] for key in ("cue", "stage", "probe", "control", "chance", "retention")}
                | {f"accuracy_{key}": row["accuracy"][key] for key in MEAN_COLUMNS}
            )


def _tokens(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for arm, labellings in document["separation"].items():
        for labelling, numbers in labellings.items():
            for name in ("silhouette", "purity"):
                yield {"arm": arm, "colouring": labelling, "number": name, "chance": numbers["chance"]} | {
                    key: numbers[name][key] for key in MEAN_COLUMNS[:4]
                }


def _csv(rows: list[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()
