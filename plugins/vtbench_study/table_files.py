"""The tables of a study's document as files: CSV in long format, and the paper's table in Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vtbench.console.formatting import number
from vtbench_study.bridge import ALL, MEASURED
from vtbench_study.model_results import MEASURES, mean_of_known
from vtbench_study.text_report import (
    agreement_text,
    change_text,
    equivalence_text,
    interval_text,
    p_text,
    power_text,
    trend_text,
)

COLUMNS = {
    "rs_probe": ("RS, probe set", False),
    "rs_own": ("RS, images of its own family", False),
    "n_eff_16": ("N_eff of 16 tokens", False),
    "discarded": ("discarded, %", True),
    "cue_information": ("cue information, nats", False),
    "accuracy": ("accuracy, %", True),
    "blind": ("accuracy on a grey image, %", True),
}
"""Columns of table.md by measure: title, and whether it is a percentage."""
MEAN_COLUMNS = ("mean", "low", "high", "seed_sd", "image_se")
"""Of every mean over seeds, see `model_results.mean_row`."""


def table_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return file contents by name: table.md, and CSV files for each part of the document that is a table."""
    rows = {
        "table": _table(document),
        "transfer": _transfer(document),
        "models": document["models"],
        "claims": document["claims"],
        "full_rate_claims": document.get("full_rate_claims", []),
        "checkpoints": document.get("checkpoints", []),
        "associations": document.get("associations", []),
        "bridge": document.get("bridge", []),
        "layers": _layers(document),
        "drop": _drop(document),
        "cues": _cues(document),
        "tokens": _tokens(document),
    }
    tables = {f"{name}.csv": _csv(found) for name, table in rows.items() if (found := list(table))}
    return tables | {"table.md": markdown(document)}


def markdown(document: Mapping[str, Any]) -> str:
    """Return the paper's table with the measured numbers, and the verdicts, in Markdown."""
    measured = {name: column for name, column in COLUMNS.items() if any(name in row for row in document["table"])}
    columns = ["trained on", *(title for title, _ in measured.values()), "paper claims RS", "paper claims accuracy, %"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in document["table"]:
        paper = document["paper"].get(row["arm"])
        cells = [
            *(_cell(row.get(name), percent) for name, (_, percent) in measured.items()),
            *([f"*{paper['rs']:.2f}*", f"*{100 * paper['accuracy']:.0f}*"] if paper else ["", ""]),
        ]
        lines.append(f"| `{row['arm']}` | {' | '.join(cells)} |")
    if document["before"]:
        before = ", ".join(f"`{family}` {number(rs, False)}" for family, rs in document["before"].items())
        lines += ["", f"The base, trained on no family, has on the images of each: {before}."]
    for name, heading in (("claims", "claim"), ("full_rate_claims", "claim, at the full rate")):
        if claims := document.get(name):
            lines += ["", *_claim_table(claims, heading)]
    if associations := document.get("associations"):
        lines += ["", *_association_table(associations)]
    if tests := document["plan"].get("tests"):
        lines += ["", *_accuracy_table(document, tests), "", *_rs_table(document, tests)]
    if bridge := document.get("bridge"):
        lines += ["", *bridge_table(bridge)]
    if advised := [*document["advice"], *document.get("full_rate", [])]:
        lines += ["", "| advice | RS and its p-value | lost | verdict |", "|---|---|---|---|"]
    for row in advised:
        change = "unknown" if row["rs_difference"] is None else f"{row['rs_difference']:+.3f}"
        p = "" if row["rs_p"] is None else f", {p_text(row['rs_p'])}"
        verdict = "helps" if row["helps"] else "does not help"
        lines.append(
            f"| `{row['arm']}` beside `{row['beside']}` | {change}{p} | {'; '.join(row['lost'])} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _accuracy_table(document: Mapping[str, Any], tests: Sequence[str]) -> Iterable[str]:
    """Yield accuracy in per cent, for scene graphs tuple F1, by arm and by the family or test that is asked."""
    asked = [*document["plan"]["families"], *tests]
    first = next(iter(document["transfer"].values()))
    chance = ["" if first[task]["chance"] is None else number(first[task]["chance"], True) for task in asked]
    yield f"| trained on, and asked | {' | '.join(f'`{task}`' for task in asked)} |"
    yield "|---" * (len(asked) + 1) + "|"
    yield f"| chance | {' | '.join(chance)} |"
    for arm, row in document["transfer"].items():
        name = "each family, on a grey image" if arm == "blind" else f"`{arm}`"
        yield f"| {name} | {' | '.join(_cell(row.get(task), True) for task in asked)} |"


def _rs_table(document: Mapping[str, Any], tests: Sequence[str]) -> Iterable[str]:
    """Yield RS by arm, on the probe set and on the images of each test."""
    columns = {"`probe`": "rs_probe"} | {f"`{task}`": f"rs_on_{task}" for task in tests}
    yield f"| RS of models trained on | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for arm in dict.fromkeys(row["arm"] for row in document["models"]):
        models = [row for row in document["models"] if row["arm"] == arm]
        means = [mean_of_known([row.get(column) for row in models]) for column in columns.values()]
        yield f"| `{arm}` | {' | '.join('' if mean is None else number(mean, False) for mean in means)} |"


def _claim_table(claims: Sequence[Mapping[str, Any]], heading: str) -> Iterable[str]:
    """Yield the verdicts, and their sizes and power where the study has them."""
    texts = {"test": trend_text, "change, simplest to most complex": change_text, "margin": equivalence_text,
             "80 % power from a change of": power_text}  # fmt: skip
    texts = {title: text for title, text in texts.items() if any(text(claim) for claim in claims)}
    yield f"| {' | '.join([heading, 'verdict', *texts])} |"
    yield "|---" * (len(texts) + 2) + "|"
    for claim in claims:
        cells = [claim["text"], f"**{claim['verdict']}**", *(text(claim) for text in texts.values())]
        yield f"| {' | '.join(cells)} |"


def _association_table(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield "| over checkpoints | outcome | slope, SD per SD | p after Holm | checkpoints, arms |"
    yield "|---|---|---|---|---|"
    for row in rows:
        slope, p = "too few checkpoints", ""
        if row["slope"] is not None:
            slope = f"{row['slope']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
            p = p_text(row["p_holm"])
        yield f"| `{row['predictor']}` | `{row['outcome']}` | {slope} | {p} | {row['checkpoints']}, {row['arms']} |"


def bridge_table(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Yield the lines of a Markdown table of `bridge_rows`."""
    yield "| order of models by | on | and on | models | Spearman (95 %) | p | 80 % power from | verdict |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        of_rs = row["measure"] == "rs" and row["family"] != ALL
        asked = [f"`{'probe' if of_rs else row['family']}`", f"`{row['test']}`"]
        asked = asked if row["family"] != ALL else [f"{row['pairs']} families", "their tests"]
        numbers = [agreement_text(row), p_text(row["p"]) if row["p"] is not None else ""]
        power = "" if row["detectable"] is None else f"{row['detectable']:.2f}"
        cells = [MEASURED[row["measure"]], *asked, str(row["models"]), *numbers, power, f"**{row['verdict']}**"]
        yield f"| {' | '.join(cells)} |"


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
