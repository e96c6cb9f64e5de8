"""The committed study: its tables agree with one another, and the docs quote them exactly."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from vtbench.console.formatting import number
from vtbench_study.plan import Plan
from vtbench_study.study import write_study
from vtbench_study.table_files import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference-study"
FAMILIES = ("coarse", "attribute", "relational", "scene_graph")


def rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_its_tables_are_those_of_its_models(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "measured", tmp_path / "measured")
    stored = json.loads((REFERENCE / "plan.json").read_text(encoding="utf-8"))
    assert not write_study(Plan.from_document(stored["plan"]), tmp_path, stored["facts"])["missing"]
    written = {path.name for path in tmp_path.iterdir() if path.suffix in (".csv", ".md")}
    assert written == {path.name for path in REFERENCE.iterdir() if path.suffix in (".csv", ".md")}
    for name in written:
        assert (tmp_path / name).read_text(encoding="utf-8") == (REFERENCE / name).read_text(encoding="utf-8"), name


def test_every_family_has_the_same_seeds_and_at_least_three() -> None:
    seeds = {family: {row["seed"] for row in rows("models") if row["arm"] == family} for family in FAMILIES}
    assert seeds["coarse"] >= {"0", "1", "2"}
    assert all(seeds[family] == seeds["coarse"] for family in FAMILIES)


@pytest.mark.parametrize("arm", ["base", *FAMILIES])
def test_a_mean_of_the_table_is_that_of_its_models(arm: str) -> None:
    models = [row for row in rows("models") if row["arm"] == arm]
    means = {row["measure"]: row for row in rows("table") if row["arm"] == arm}
    assert "rs_probe" in means
    for measure in means.keys() & models[0].keys():
        values = [float(row[measure]) for row in models]
        assert float(means[measure]["mean"]) == pytest.approx(sum(values) / len(values), rel=1e-4, abs=1e-6), measure


@pytest.mark.parametrize("arm", ["base", *FAMILIES])
def test_the_page_s_table_is_that_of_the_csv(arm: str) -> None:
    (heads, *_), (row,) = (
        [cells(line) for line in lines(REFERENCE / "table.md") if line.startswith(head)]
        for head in ("| trained on |", f"| `{arm}` |")
    )
    shown = dict(zip(heads, row, strict=True))
    means = {row["measure"]: row for row in rows("table") if row["arm"] == arm}
    for measure, (title, percent) in COLUMNS.items():
        if measure in means:
            assert shown[title].startswith(number(float(means[measure]["mean"]), percent)), measure
        else:
            assert shown[title] == ""


def test_the_verdicts_are_those_of_the_csv() -> None:
    table = [cells(line) for line in lines(REFERENCE / "table.md")]
    shown = {row[0]: row[1] for row in table if len(row) > 1 and row[1].startswith("**")}
    assert shown == {row["text"]: f"**{row['verdict']}**" for row in rows("claims")}


def test_docs_quote_its_table() -> None:
    assert (REFERENCE / "table.md").read_text(encoding="utf-8") in (ROOT / "docs" / "study.md").read_text(
        encoding="utf-8"
    )


def test_the_results_quote_its_rows() -> None:
    table, quoted = lines(REFERENCE / "table.md"), lines(ROOT / "docs/results.md")
    for family in ("base", *FAMILIES):
        (row,) = [line for line in table if line.startswith(f"| `{family}` |")]
        assert row in quoted


def test_results_are_small() -> None:
    tables = sum(file.stat().st_size for file in REFERENCE.iterdir() if file.is_file())
    assert tables < 200_000
    assert all(file.stat().st_size < 60_000 for file in (REFERENCE / "measured").iterdir())
