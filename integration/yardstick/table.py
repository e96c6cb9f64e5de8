"""Writes the table of the yardstick as table.md, table.csv and table.json."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from measure import ESTIMATORS, SAMPLES, SEED, SEEDS, Row

_PACKAGES = ("vtbench", "benchmark-mi", "jax", "numpy", "scipy", "scikit-learn", "torch")
_HEADINGS = {True: "Gaussian copula", False: "Another copula"}
_NAMES = {"gaussian": "`gaussian`", "ksg": "`ksg`", "bmi_cca": "bmi's CCA", "bmi_ksg": "bmi's KSG"}


def write(rows: Sequence[Row], directory: Path) -> None:
    """Write the table in three forms, with what it takes to make it again."""
    directory.mkdir(parents=True, exist_ok=True)
    versions = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    facts = {"samples": SAMPLES, "seed": SEED, "seeds": list(SEEDS), "unit": "nats", "versions": versions}
    flat = [_flat(row) for row in rows]
    (directory / "table.json").write_text(json.dumps({**facts, "rows": flat}, indent=1) + "\n")
    with (directory / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, flat[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
    (directory / "table.md").write_text(_markdown(rows, versions))


def _flat(row: Row) -> dict[str, object]:
    values: dict[str, object] = {"task": row.task, "name": row.name, "gaussian_copula": row.copula}
    values["truth"] = round(row.truth, 4)
    values |= {name: _rounded(row.estimates[name], 4) for name in ESTIMATORS}
    values["gaussian_worst_error"] = round(row.worst, 4)
    return values | {f"{name}_seconds": _rounded(row.seconds[name], 3) for name in ESTIMATORS}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _markdown(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    lines = [
        f"Mutual information in nats from {SAMPLES:,} samples, seed {SEED}. "
        f"Worst: the largest error of `gaussian` over {len(SEEDS)} seeds.",
        "",
        ", ".join(f"{name} {number}" for name, number in versions.items()),
    ]
    for copula, heading in _HEADINGS.items():
        lines += ["", f"## {heading}", "", *_head("truth", *_NAMES.values(), "worst")]
        for row in rows:
            if row.copula is copula:
                estimates = [_shown(row.estimates[name], 3) for name in ESTIMATORS]
                lines.append(_line(row.name, f"{row.truth:.3f}", *estimates, f"{row.worst:+.3f}"))
    lines += ["", "## Seconds", "", "Processor time on one thread.", "", *_head(*_NAMES.values())]
    lines += [_line(row.name, *(_shown(row.seconds[name], 2) for name in ESTIMATORS)) for row in rows]
    return "\n".join(lines) + "\n"


def _head(*columns: str) -> list[str]:
    return [_line("task", *columns), "|---|" + "--:|" * len(columns)]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:z.{digits}f}"
